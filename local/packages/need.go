package packages

import (
	"errors"
	"os"
	"os/exec"
)

// Need is something that must be on this machine: how to tell that it is, and the packages that bring it.
type Need struct {
	// Name is what messages call it.
	Name string
	// Packages are Debian's packages that bring it.
	Packages []string
	// Services are units and init scripts that these packages would have the machine start at its next boot.
	Services []string
	// Present reports whether it is there; an error wraps [ErrMissing] where installing helps, and says what to do
	// where it does not (too old a version, for instance).
	Present func() error
}

// Broker is the need for RabbitMQ 3.10 or later.
func Broker() Need {
	return Need{
		Name:     "RabbitMQ",
		Packages: []string{"rabbitmq-server"},
		Services: []string{"rabbitmq-server.service", "epmd.service", "epmd.socket"},
		Present:  func() error { _, err := FindRabbitMQ(); return err },
	}
}

// Database is the need for a Postgres server of version 15 or later.
func Database() Need {
	return Need{
		Name:     "PostgreSQL",
		Packages: []string{"postgresql"},
		Present:  func() error { _, err := FindPostgres(); return err },
	}
}

// Program is the need for a program on the PATH that a package of the same name brings, but for five: gcc comes with the
// C library's headers, which the race detector needs as well, wsdump, a WebSocket client, with python3-websocket, node
// with nodejs, mosquitto_pub (and mosquitto_sub) with mosquitto-clients, and ip with iproute2.
func Program(name string) Need {
	need := Need{Name: name, Packages: []string{name}, Present: func() error { return onPath(name) }}
	switch name {
	case "gcc":
		need.Packages = []string{"gcc", "libc6-dev"}
		need.Present = func() error { return errors.Join(onPath(name), isFile("/usr/include/stdlib.h")) }
	case "wsdump":
		need.Packages = []string{"python3-websocket"}
	case "node":
		need.Packages = []string{"nodejs"}
	case "mosquitto_pub":
		need.Packages = []string{"mosquitto-clients"}
	case "ip":
		need.Packages = []string{"iproute2"}
	case "prometheus":
		need.Services = []string{"prometheus.service"}
	}
	return need
}

func isFile(path string) error {
	if _, err := os.Stat(path); err != nil {
		return errors.Join(ErrMissing, err)
	}
	return nil
}

// Missing returns those needs that are not met, in their order; its error is that of a need which installing would
// not meet.
func Missing(needs ...Need) ([]Need, error) {
	var missing []Need
	for _, need := range needs {
		err := need.Present()
		if errors.Is(err, ErrMissing) {
			missing = append(missing, need)
		} else if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

func onPath(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		return errors.Join(ErrMissing, err)
	}
	return nil
}
