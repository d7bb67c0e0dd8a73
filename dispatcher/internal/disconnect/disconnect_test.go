package disconnect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/cupline/cupline/store/credential"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker answers as the management API does; deaf ends nothing.
func broker(t *testing.T, deaf bool) (*Management, *[]string) {
	t.Helper()
	var asked []string
	there := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		asked = append(asked, r.Method+" "+r.URL.EscapedPath())
		switch {
		case user != "root" || password != "secret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodDelete:
			if !deaf {
				there = 0
			}
			w.WriteHeader(http.StatusNoContent)
		case there == 0:
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = fmt.Fprint(w, `[{"name":"a -> b"},{"name":"c -> d"}]`)
		}
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{DisableKeepAlives: true}
	m, err := NewManagement(strings.Replace(server.URL, "http://", "http://root:secret@", 1), transport)
	if err != nil {
		t.Fatal(err)
	}
	return m, &asked
}

func TestAllConnectionsOfAUserEnd(t *testing.T) {
	t.Parallel()
	m, asked := broker(t, false)
	for _, want := range []int{2, 0} {
		if n, err := m.End(t.Context(), "acme/lamp-1"); n != want || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	const at = "/api/connections/username/acme%2Flamp-1"
	if got := strings.Join(*asked, ", "); got != "GET "+at+", DELETE "+at+", GET "+at+", GET "+at {
		t.Errorf("asked %s", got)
	}
	deaf, _ := broker(t, true)
	if _, err := deaf.End(t.Context(), "acme/lamp-1"); err == nil {
		t.Error("connections that stay are taken for ended")
	}
}

func TestAddressesShowNoPassword(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"http://h:1", "amqp://u:secret@h", "://u:secret@", "http://u:se%zzcret@h"} {
		if _, err := NewManagement(wrong, nil); err == nil || strings.Contains(err.Error(), "se%zzcret") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	m, err := NewManagement("http://u:secret@127.0.0.1:1", &http.Transport{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.End(t.Context(), "x"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

// desk hands out what is due, and keeps what became of it.
type desk struct {
	mu      sync.Mutex
	due     []credential.Disconnect
	ended   map[string]int
	putOff  map[string]bool
	settled chan struct{}
}

func (d *desk) TakeDisconnects(_ context.Context, limit int) ([]credential.Disconnect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(limit, len(d.due))
	taken := d.due[:n]
	d.due = d.due[n:]
	return taken, nil
}

func (d *desk) Disconnected(_ context.Context, one credential.Disconnect, ended int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended[one.Device] = ended
	d.settled <- struct{}{}
	return nil
}

func (d *desk) PutOff(_ context.Context, one credential.Disconnect, _, _ time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.putOff[one.Device] = true
	d.settled <- struct{}{}
	return nil
}

type ending func(user string) (int, error)

func (e ending) End(_ context.Context, user string) (int, error) { return e(user) }

// More than a batch are all disconnected, and one that fails holds up no other.
func TestADisconnectThatFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const all = 2*batch + 7
	d := &desk{ended: map[string]int{}, putOff: map[string]bool{}, settled: make(chan struct{}, all)}
	for i := range all {
		d.due = append(d.due, credential.Disconnect{Tenant: "acme", Device: fmt.Sprint("lamp-", i)})
	}
	work := New(Config{Asked: d, Every: time.Millisecond, Log: zap.NewNop(), Broker: ending(func(user string) (int, error) {
		if user == "acme/lamp-3" {
			return 0, errors.New("away")
		}
		return 1, nil
	})})
	if err := work.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range all {
		<-d.settled
	}
	if err := work.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(d.ended) != all-1 || len(d.putOff) != 1 || !d.putOff["lamp-3"] || d.ended["lamp-4"] != 1 {
		t.Errorf("%d ended, put off %v", len(d.ended), d.putOff)
	}
}
