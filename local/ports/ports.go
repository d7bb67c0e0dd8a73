// Package ports chooses free TCP ports on the loopback address.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Chosen ports lie below the range from which the kernel takes the local ports of outgoing connections (32768 and up),
// so that a port which is remembered while nothing listens on it is still free later.
const (
	lowest  = 20000
	highest = 29999
	tries   = 200
)

// Choose returns one free port for each remembered one, in their order: the remembered port where it is still free,
// another where it is not or where 0 is remembered. Nothing holds them once it returns, so start what is to listen
// soon. The error says that no free port was found.
func Choose(remembered ...int) ([]int, error) {
	chosen := make([]int, len(remembered))
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			_ = listener.Close() // it never accepted anything
		}
	}()
	for i, port := range remembered {
		listener, err := hold(port)
		if err != nil {
			return nil, err
		}
		held = append(held, listener)
		chosen[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return chosen, nil
}

// hold listens on the port if it can, and else on another one.
func hold(port int) (net.Listener, error) {
	if port != 0 {
		if listener, err := net.Listen("tcp4", Address(port)); err == nil {
			return listener, nil
		}
	}
	var last error
	for range tries {
		listener, err := net.Listen("tcp4", Address(lowest+rand.IntN(highest-lowest+1)))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("choose a free port on 127.0.0.1 between %d and %d: %w", lowest, highest,
		errors.Join(errors.New("none found"), last))
}

// Address is the port on the loopback address: 127.0.0.1:port.
func Address(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
