package doorway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers 503 to connections past the bound, and 200 to others.
func serve(t *testing.T, most int) (*Doorway, string) {
	t.Helper()
	d, err := New(most, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ConnContext: Context, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if PastBound(r.Context()) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(d.Listen(l)) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), l.Close()); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if n := d.inside.Load(); n != 0 {
			t.Errorf("%d are inside when all are gone", n)
		}
	})
	return d, l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask sends a request and returns the answer's status, 0 for a connection that was closed without one.
func ask(t *testing.T, conn net.Conn) int {
	t.Helper()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func TestOneTooManyIsToldAndMoreAreClosed(t *testing.T) {
	t.Parallel()
	const most = 3
	d, address := serve(t, most)
	var inside []net.Conn
	for range most {
		conn := dial(t, address)
		if got := ask(t, conn); got != http.StatusOK {
			t.Fatalf("within the bound: %d", got)
		}
		inside = append(inside, conn)
	}
	if got := ask(t, dial(t, address)); got != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", got)
	}
	// Those that say nothing fill the spare room; the next ones are closed as they come.
	for range Spare + 10 {
		dial(t, address)
	}
	if got := ask(t, dial(t, address)); got != 0 {
		t.Errorf("far too many: %d", got)
	}
	if n := testutil.ToFloat64(d.turned); n < 10 {
		t.Errorf("%v are counted", n)
	}
	// Those that are inside go on.
	if got := ask(t, inside[0]); got != http.StatusOK {
		t.Errorf("who is inside: %d", got)
	}
}

// Who leaves makes room.
func TestRoomIsMade(t *testing.T) {
	t.Parallel()
	d, address := serve(t, 1)
	for range 50 {
		conn := dial(t, address)
		if got := ask(t, conn); got != http.StatusOK {
			t.Fatalf("got %d", got)
		}
		_ = conn.Close()
		for until := time.Now().Add(30 * time.Second); d.inside.Load() != 0; {
			if time.Now().After(until) {
				t.Fatal("who left is counted still")
			}
			<-time.After(time.Millisecond)
		}
	}
}
