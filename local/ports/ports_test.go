package ports

import (
	"net"
	"slices"
	"testing"
)

func TestReserve(t *testing.T) {
	first, err := Reserve(0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range first.Ports {
		if port < lowest || port > highest {
			t.Errorf("port %d is not between %d and %d", port, lowest, highest)
		}
	}
	// What is reserved is not given to another, though nobody listens on it yet.
	second, err := Reserve(first.Ports...)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range second.Ports {
		if slices.Contains(first.Ports, port) {
			t.Errorf("port %d is reserved twice", port)
		}
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Reserve(first.Ports...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Ports, first.Ports) {
		t.Errorf("remembered ports that are free: got %v, want %v", again.Ports, first.Ports)
	}
	for _, reservation := range []*Reservation{second, again, again, nil} {
		if err := reservation.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestReserveLeavesAPortThatIsListenedOn(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port
	reserved, err := Reserve(port)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reserved.Release() }()
	if reserved.Ports[0] == port {
		t.Errorf("port %d is listened on and was reserved", port)
	}
}
