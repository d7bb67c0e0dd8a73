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
	for i, port := range first.Ports {
		if again.Ports[i] == port {
			continue
		}
		// Tests of another package, which run at the same time, may have got it in between; then it is not free.
		if mark, err := reserve(port); err == nil {
			t.Errorf("remembered ports that are free: got %v, want %v", again.Ports, first.Ports)
			_ = mark.Close()
		}
	}
	for _, reservation := range []*Reservation{second, again, again, nil} {
		if err := reservation.Release(); err != nil {
			t.Error(err)
		}
	}
}

// What is reserved for a server stays so while that does not run, and is its own when it is started again.
func TestReserveForAServerThatIsStartedAgain(t *testing.T) {
	owner := t.TempDir()
	first, err := ReserveFor(owner, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ReserveFor(owner, first...); err != nil || !slices.Equal(again, first) {
		t.Errorf("started again: %v, %v, want %v", again, err, first)
	}
	other, err := Reserve(first[0])
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(first, other.Ports[0]) {
		t.Errorf("port %d is reserved twice", other.Ports[0])
	}
	// Who listens there all the same is left in peace.
	taken, err := net.Listen("tcp4", Address(first[1]))
	if err != nil {
		t.Fatal(err)
	}
	if others, err := ReserveFor(owner, first...); err != nil || others[1] == first[1] {
		t.Errorf("with a listener on %d: %v, %v", first[1], others, err)
	}
	for _, err := range []error{taken.Close(), other.Release(), GiveUp(owner), GiveUp(owner)} {
		if err != nil {
			t.Error(err)
		}
	}
	if len(kept.by) != 0 {
		t.Errorf("kept: %v", kept.by)
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
