package http

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/dispatcher/internal/device/devicetest"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	devicetest.Run(t, subject)
}

func loopback(t testing.TB) *Driver {
	t.Helper()
	networks, err := ParseNetworks("127.0.0.0/8,::1")
	if err != nil {
		t.Fatal(err)
	}
	d := New(networks)
	t.Cleanup(d.client.Transport.(*http.Transport).CloseIdleConnections)
	return d
}

func subject(t *testing.T) *devicetest.Subject {
	t.Helper()
	var behaviour atomic.Pointer[func([]byte, func([]byte))]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		(*behaviour.Load())(body, func(answer []byte) {
			_, _ = w.Write(answer) // the driver may have gone
		})
	}))
	t.Cleanup(server.Close)
	driver := loopback(t)
	return &devicetest.Subject{
		Driver: driver, Target: target(server.URL),
		Behave: func(f func([]byte, func([]byte))) { behaviour.Store(&f) },
		Leave: func() {
			server.Close()
			driver.Close() // for longer than connections are kept
		},
		Attributes: true,
	}
}

func target(url string) dispatch.Target {
	address, _ := json.Marshal(map[string]string{"url": url})
	return dispatch.Target{Tenant: "acme", Device: "lamp-1", Address: address}
}

// call is one with plenty of time.
func call(t dispatch.Target) *dispatch.Call {
	return &dispatch.Call{
		Target: t, ID: "0190-1", MaxAnswer: 1 << 10,
		Request: []byte(`{"jsonrpc":"2.0","id":"0190-1","method":"m"}`),
		Left:    func() time.Duration { return time.Minute },
	}
}

const answer = `{"jsonrpc":"2.0","id":"0190-1","result":1}`

// recorded is what a device saw of each request.
type recorded struct {
	mu   sync.Mutex
	seen []*http.Request
}

func (r *recorded) add(request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, request)
}

func (r *recorded) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

func BenchmarkExecute(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	d, c := loopback(b), call(target(server.URL))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Execute(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
