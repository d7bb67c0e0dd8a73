package cupline_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/clients/go/cuplinetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newClient(t testing.TB, p *cuplinetest.Platform) *cupline.Client {
	t.Helper()
	c, err := cupline.New(cupline.Config{URL: p.URL(), PushURL: p.URL(), Key: "k", Timeout: cuplinetest.Patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// listen starts a listener with quick waits that closes with the test.
func listen(t testing.TB, p *cuplinetest.Platform, cfg cupline.ListenConfig) *cupline.Listener {
	t.Helper()
	if cfg.MinWait == 0 {
		cfg.MinWait, cfg.MaxWait = time.Millisecond, 5*time.Millisecond
	}
	l, err := newClient(t, p).Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// outcomeFrame is a device's result under the given ids.
func outcomeFrame(seq uint64, id, commandID string) string {
	return cuplinetest.Outcome(seq, id, commandID, "device", `"result":{"n":1}`)
}

func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(cuplinetest.Patience):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

// until waits for a status.
func until(t testing.TB, l *cupline.Listener, what string, holds func(cupline.Status) bool) {
	t.Helper()
	limit := time.After(cuplinetest.Patience)
	for {
		changed := l.Changed()
		if holds(l.Status()) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s: the status stays %+v", what, l.Status())
		}
	}
}
