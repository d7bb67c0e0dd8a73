package rabbitmq

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// leastSilence is the shortest that Erlang's net_ticktime may be: it looks four times in that time, and not more often
// than once a second.
const leastSilence = 4 * time.Second

// Host is where a node runs when that is not the loopback address, so that nodes can be parted from each other.
type Host struct {
	// Name is what Erlang nodes call it, one plain word; Address is its IPv4 address.
	Name, Address string
	// Network is the file of its network namespace, /run/netns/NAME; the caller's own when empty.
	Network string
}

func loopback() Host { return Host{Name: "localhost", Address: "127.0.0.1"} }

func (h Host) check() error {
	if h.Name == "" || strings.ContainsAny(h.Name, ". @\"") {
		return fmt.Errorf("run RabbitMQ: the host's name %q must be one plain word", h.Name)
	}
	if address, err := netip.ParseAddr(h.Address); err != nil || !address.Is4() {
		return fmt.Errorf("run RabbitMQ: the host's address %q is no IPv4 address", h.Address)
	}
	return nil
}

// at is host:port.
func (h Host) at(port int) string { return net.JoinHostPort(h.Address, strconv.Itoa(port)) }

// names are the hosts as Erlang's own file of them, so that nobody's /etc/hosts need know them. See
// https://www.erlang.org/doc/apps/erts/inet_cfg.html.
func names(hosts []Host) string {
	var lines strings.Builder
	for _, h := range append([]Host{loopback()}, hosts...) {
		fmt.Fprintf(&lines, "{host, {%s}, [%q]}.\n", strings.ReplaceAll(h.Address, ".", ","), h.Name)
	}
	lines.WriteString("{lookup, [file, native]}.\n")
	return lines.String()
}
