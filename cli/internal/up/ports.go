package up

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/services"
)

// portsFile remembers the services' ports from run to run.
const portsFile = "ports.json"

type servicePorts struct {
	Public   int `json:"public"`
	Internal int `json:"internal"`
}

// reservePorts gives each service the ports of the run before, as far as they are free, before anything runs: the broker is told
// where api decides about devices, and api and pusher of each other, because api's console connects to the pusher.
func (s *stage) reservePorts() error {
	remembered, chosen := s.recallPorts(), map[string]servicePorts{}
	s.ports = map[string]*ports.Reservation{}
	for _, name := range names() {
		reserved, err := ports.Reserve(remembered[name].Public, remembered[name].Internal)
		if err != nil {
			return err
		}
		s.ports[name] = reserved
		chosen[name] = servicePorts{Public: reserved.Ports[0], Internal: reserved.Ports[1]}
	}
	s.access.API = "http://" + ports.Address(chosen[services.API].Public)
	s.access.Push = "ws://" + ports.Address(chosen[services.Pusher].Public)
	return s.rememberPorts(chosen)
}

func (s *stage) recallPorts() map[string]servicePorts {
	remembered := map[string]servicePorts{}
	content, err := os.ReadFile(filepath.Join(s.folder, portsFile))
	if err == nil {
		// A file that cannot be read only means new ports.
		_ = json.Unmarshal(content, &remembered)
	}
	return remembered
}

func (s *stage) rememberPorts(chosen map[string]servicePorts) error {
	content, err := json.Marshal(chosen)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.folder, portsFile), content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember the ports: %w", err)
	}
	return nil
}
