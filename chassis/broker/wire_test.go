package broker

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// ends of a real TCP connection.
func ends(t *testing.T) (here *wire, there net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	here = newWire(near)
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	return here, there
}

// What several write comes out whole, each writer's in its order.
func TestWireKeepsOrder(t *testing.T) {
	t.Parallel()
	here, there := ends(t)
	const writers, frames, size = 4, 2000, 300
	var writing sync.WaitGroup
	for n := range writers {
		writing.Go(func() {
			frame := bytes.Repeat([]byte{byte(n)}, size)
			for i := range frames {
				frame[1], frame[2] = byte(i>>8), byte(i)
				if _, err := here.Write(frame); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var next [writers]int
	frame := make([]byte, size)
	for range writers * frames {
		if _, err := io.ReadFull(there, frame); err != nil {
			t.Fatal(err)
		}
		n := frame[0]
		if got := int(frame[1])<<8 | int(frame[2]); got != next[n] {
			t.Fatalf("writer %d: frame %d came as number %d", n, got, next[n])
		}
		next[n]++
	}
	writing.Wait()
}

// A peer that takes nothing lets writers wait, with a bound on what is kept; closing frees them.
func TestWireIsBounded(t *testing.T) {
	t.Parallel()
	here, _ := ends(t)
	full := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		var once sync.Once
		for {
			here.mu.Lock()
			if kept := len(here.unsent); kept > unsentLimit {
				here.mu.Unlock()
				once.Do(func() { close(full) })
			} else {
				here.mu.Unlock()
			}
			if _, err := here.Write(make([]byte, 64<<10+1)); err != nil {
				ended <- err
				return
			}
		}
	}()
	<-full
	here.mu.Lock()
	kept := len(here.unsent)
	here.mu.Unlock()
	if kept > unsentLimit+64<<10+1 {
		t.Errorf("%d bytes are kept, want at most %d and one write", kept, unsentLimit)
	}
	_ = here.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the writer ended with %v, want net.ErrClosed", err)
	}
}

// A send that fails is told to the next writer, and ends the reader.
func TestWireTellsOfAFailedSend(t *testing.T) {
	t.Parallel()
	here, there := ends(t)
	if err := there.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = there.Close() // a reset
	if _, err := here.Read(make([]byte, 1)); err == nil {
		t.Error("a reset was read as success")
	}
	for {
		if _, err := here.Write([]byte("frame")); err != nil {
			break
		}
	}
}
