package link_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cupline/cupline/e2e/faults/link"
)

// open makes a link to a server that sends back what it gets.
func open(t *testing.T) *link.Link {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	l, err := link.Open(t.Context(), server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the link: %v", err)
		}
		_ = server.Close()
	})
	return l
}

func dial(t *testing.T, l *link.Link) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// echo sends a text and returns how much of it came back within a limit, and whether the
// connection has ended.
func echo(t *testing.T, conn net.Conn, text string, limit time.Duration) (back int, ended bool) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		return 0, true
	}
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	n, err := io.ReadFull(conn, make([]byte, len(text)))
	return n, err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// long is how long anything may take that is not itself under test.
const long = 30 * time.Second

func TestALinkIsHalfOpenAndHeals(t *testing.T) {
	t.Parallel()
	l := open(t)
	conn := dial(t, l)
	if n, _ := echo(t, conn, "hello", long); n != 5 {
		t.Fatalf("a whole link forwards %d bytes of 5", n)
	}
	l.Set(link.HalfOpen)
	if n, ended := echo(t, conn, "held", 200*time.Millisecond); n != 0 || ended {
		t.Errorf("a half-open link forwards %d bytes, ended %t", n, ended)
	}
	l.Set(link.Whole)
	if n, _ := echo(t, conn, "", long); n != 0 {
		t.Error("nothing comes back as something")
	}
	held := make([]byte, 4)
	_ = conn.SetReadDeadline(time.Now().Add(long))
	if _, err := io.ReadFull(conn, held); err != nil || string(held) != "held" {
		t.Errorf("what was held came as %q, %v", held, err)
	}
}

func TestALinkIsCutAndRefused(t *testing.T) {
	t.Parallel()
	l := open(t)
	conn := dial(t, l)
	if n, _ := echo(t, conn, "x", long); n != 1 {
		t.Fatal("the link does not forward")
	}
	l.Cut()
	if _, ended := echo(t, conn, "x", long); !ended {
		t.Error("a cut connection lives")
	}
	if n, _ := echo(t, dial(t, l), "x", long); n != 1 {
		t.Error("no new connection after a cut")
	}
	l.Set(link.Refused)
	if _, ended := echo(t, dial(t, l), "x", long); !ended {
		t.Error("a new connection while refused")
	}
	l.Set(link.Whole)
	if n, _ := echo(t, dial(t, l), "x", long); n != 1 {
		t.Error("no new connection after healing")
	}
}

func TestALinkIsSlow(t *testing.T) {
	t.Parallel()
	for mode, want := range map[link.Mode]time.Duration{link.Slow: 600 * time.Millisecond, link.Trickle: 3 * time.Second} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			l := open(t)
			l.Set(mode)
			began := time.Now()
			if n, _ := echo(t, dial(t, l), "xy", long); n != 2 {
				t.Fatalf("%d bytes of 2 came back", n)
			}
			if took := time.Since(began); took < want {
				t.Errorf("two bytes there and back took %s, want %s at least", took, want)
			}
		})
	}
}

func TestAMuteLinkTakesAndGivesNothingBack(t *testing.T) {
	t.Parallel()
	l := open(t)
	conn := dial(t, l)
	if n, _ := echo(t, conn, "hello", long); n != 5 {
		t.Fatalf("a whole link forwards %d bytes of 5", n)
	}
	l.Set(link.Mute)
	if n, ended := echo(t, conn, "lost", 200*time.Millisecond); n != 0 || ended {
		t.Errorf("a mute link gave %d bytes back, ended %t", n, ended)
	}
	for over := time.After(long); l.Holes() == 0; { // what comes back only now would be let through
		select {
		case <-time.After(time.Millisecond):
		case <-over:
			t.Fatal("the answer never came to the link")
		}
	}
	l.Set(link.Whole)
	if n, ended := echo(t, conn, "late", long); n != 0 || !ended {
		t.Errorf("after what was lost came %d bytes, ended %t", n, ended)
	}
	if n, _ := echo(t, dial(t, l), "anew", long); n != 4 {
		t.Errorf("a new connection gets %d bytes of 4", n)
	}
}
