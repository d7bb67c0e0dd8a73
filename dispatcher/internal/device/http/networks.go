package http

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// Networks is a list of networks that may be called.
type Networks []netip.Prefix

// DefaultNetworks are the private ones (RFC 1918, RFC 4193). Loopback is left out, since
// the platform's own services listen there, and so is link-local, where clouds keep
// their machines' credentials.
const DefaultNetworks = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"

// ParseNetworks reads a comma-separated list in CIDR notation; a single address stands
// for itself. The empty list allows nothing.
func ParseNetworks(text string) (Networks, error) {
	var networks Networks
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			address, addressErr := netip.ParseAddr(part)
			if addressErr != nil {
				return nil, fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", part)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		networks = append(networks, prefix.Masked())
	}
	return networks, nil
}

// Allows reports whether an address is in one of the networks. An IPv4 address in IPv6
// form is taken as what it is.
func (n Networks) Allows(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, network := range n {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// forbiddenError tells that an address is in none of the allowed networks.
type forbiddenError struct{ address string }

func (e *forbiddenError) Error() string {
	return "the address " + e.address + " is in none of the allowed networks"
}

// control is a net.Dialer's check of the address that it is about to connect to.
func (n Networks) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !n.Allows(at.Addr()) {
		return &forbiddenError{address}
	}
	return nil
}
