package platform

import (
	"fmt"

	"github.com/cupline/cupline/local/ports"
)

// reserve is where a service of that name listens whenever it runs, until Stop.
func (p *Platform) reserve(name string) (*ports.Reservation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reserved := p.ports[name]; reserved != nil {
		return reserved, nil
	}
	reserved, err := ports.Reserve(0, 0)
	if err != nil {
		return nil, fmt.Errorf("choose %s's ports: %w", name, err)
	}
	p.ports[name] = reserved
	return reserved, nil
}

// Address is where a service will listen once it is run under that name: for those who have to know it before.
func (p *Platform) Address(name string) (string, error) {
	reserved, err := p.reserve(name)
	if err != nil {
		return "", err
	}
	return ports.Address(reserved.Ports[0]), nil
}
