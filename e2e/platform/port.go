package platform

import (
	"fmt"
	"net"
	"strconv"

	"github.com/cupline/cupline/local/ports"
)

// port of an address that services has made; 0 when there is none.
func port(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// Address is where a service will listen once it is run under that name: for those who have to know it before.
func (p *Platform) Address(name string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports[name] == [2]int{} {
		chosen, err := ports.Choose(0, 0)
		if err != nil {
			return "", fmt.Errorf("choose %s's ports: %w", name, err)
		}
		p.ports[name] = [2]int(chosen)
	}
	return ports.Address(p.ports[name][0]), nil
}
