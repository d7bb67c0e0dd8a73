// Package ports chooses free TCP ports on the loopback address.
package ports

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Chosen ports lie below the range from which the kernel takes the local ports of outgoing connections (32768 and up),
// so that a port which is remembered while nothing listens on it is still free later.
const (
	lowest  = 20000
	highest = 29999
	tries   = 200
)

// Reservation keeps others that use this package, in any process, from choosing the same ports. It is kept for as long as
// anybody is told of them, also while a server that listens on them is being started or restarted.
type Reservation struct {
	// Ports are in the order in which they were asked for.
	Ports []int
	marks []net.Listener
}

// Reserve returns one free port for each remembered one: the remembered port where it is still free, another where it
// is not or where 0 is remembered. The error says that no free port was found.
func Reserve(remembered ...int) (*Reservation, error) {
	reservation := &Reservation{}
	for _, port := range remembered {
		if err := reservation.add(port); err != nil {
			return nil, errors.Join(err, reservation.Release())
		}
	}
	return reservation, nil
}

// Release ends the reservation: the ports are not needed any more. A nil reservation is none.
func (r *Reservation) Release() error {
	if r == nil {
		return nil
	}
	var failed error
	for _, mark := range r.marks {
		failed = errors.Join(failed, mark.Close())
	}
	r.marks = nil
	if failed != nil {
		return fmt.Errorf("give reserved ports up: %w", failed)
	}
	return nil
}

// serves tells whether the reservation is one of these ports, with any for 0, and nobody listens on them.
func (r *Reservation) serves(remembered []int) bool {
	if r == nil || len(r.Ports) != len(remembered) {
		return false
	}
	for i, port := range remembered {
		if port != 0 && port != r.Ports[i] || free(r.Ports[i]) != nil {
			return false
		}
	}
	return true
}

// kept are the reservations of servers that this process has started, by the folder of each.
var kept = struct {
	mu sync.Mutex // guards by
	by map[string]*Reservation
}{by: map[string]*Reservation{}}

// ReserveFor is Reserve for a server that this process may stop and start again: nobody else gets its ports while it does not run,
// until GiveUp or the end of the process. The owner is the server's folder.
func ReserveFor(owner string, remembered ...int) (ports []int, err error) {
	kept.mu.Lock()
	defer kept.mu.Unlock()
	if held := kept.by[owner]; held.serves(remembered) {
		return held.Ports, nil
	}
	if err := kept.by[owner].Release(); err != nil {
		return nil, err
	}
	delete(kept.by, owner)
	fresh, err := Reserve(remembered...)
	if err != nil {
		return nil, err
	}
	kept.by[owner] = fresh
	return fresh.Ports, nil
}

// GiveUp ends what ReserveFor has reserved for an owner, if anything.
func GiveUp(owner string) error {
	kept.mu.Lock()
	defer kept.mu.Unlock()
	held := kept.by[owner]
	delete(kept.by, owner)
	return held.Release()
}

// add reserves the port if it can, and else another one.
func (r *Reservation) add(port int) error {
	last := errors.New("none tried")
	for range tries {
		if port != 0 {
			mark, err := reserve(port)
			if err == nil {
				r.Ports, r.marks = append(r.Ports, port), append(r.marks, mark)
				return nil
			}
			last = err
		}
		port = lowest + rand.IntN(highest-lowest+1)
	}
	return fmt.Errorf("choose a free port on 127.0.0.1 between %d and %d: none of %d was: %w", lowest, highest, tries, last)
}

// reserve marks a port as taken and makes sure that nobody listens on it. The mark is an abstract Unix socket: the
// kernel keeps its name to one process of the machine's network and forgets it with the process.
func reserve(port int) (net.Listener, error) {
	mark, err := listen("unix", "@cupline-port-"+strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	if err := free(port); err != nil {
		return nil, errors.Join(err, mark.Close())
	}
	return mark, nil
}

// free is an error when somebody listens on the port.
func free(port int) error {
	trial, err := listen("tcp4", Address(port))
	if err != nil {
		return err
	}
	return trial.Close()
}

// listen needs no context: nothing in it waits.
func listen(network, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), network, address)
}

// Address is the port on the loopback address: 127.0.0.1:port.
func Address(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
