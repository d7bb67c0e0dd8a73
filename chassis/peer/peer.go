// Package peer tells where a request comes from, so that those who fail or flood can be told apart.
package peer

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks whose X-Forwarded-For is believed; nil is none.
type Proxies []netip.Prefix

// ParseProxies reads networks in CIDR notation; setting names them in the error.
func ParseProxies(setting string, texts []string) (Proxies, error) {
	var networks Proxies
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s has %q: must be a network such as 10.0.0.0/8", setting, text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// Address is where a request comes from: the peer, or, where that is a proxy of ours, the last address in X-Forwarded-For
// that is none. What stands before it anybody may have written. It is empty only for a request that came over no network.
func (p Proxies) Address(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address := at.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.ours(address); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // the nearest that is known
		}
		address = hop.Unmap().WithZone("")
	}
	return address.String()
}

func (p Proxies) ours(address netip.Addr) bool {
	for _, network := range p {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// ipv6Site is how much of an IPv6 address names a site (RFC 6177): within it whoever has one address has 2^64.
const ipv6Site = 64

// Group is whom an address is counted with: itself, or its /64 for IPv6.
func Group(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() {
		return address
	}
	site, err := a.Prefix(ipv6Site)
	if err != nil {
		return address
	}
	return site.String()
}
