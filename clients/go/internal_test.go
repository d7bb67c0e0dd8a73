package cupline

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/push"
)

func TestMemoryIsBoundedAndForgetsTheOldest(t *testing.T) {
	t.Parallel()
	m := newMemory(3)
	for i := range 10 {
		m.add(fmt.Sprint(i))
		m.add(fmt.Sprint(i))
	}
	for i := range 10 {
		if got, want := m.has(fmt.Sprint(i)), i >= 7; got != want {
			t.Errorf("id %d is remembered: %t", i, got)
		}
	}
	if len(m.ids) != 3 || len(m.ring) != 3 {
		t.Errorf("%d ids in a ring of %d are kept", len(m.ids), len(m.ring))
	}
}

func TestJitterIsFullAndBounded(t *testing.T) {
	t.Parallel()
	const low, high = time.Second, 10 * time.Second
	for failures, limit := range map[int]time.Duration{0: low, 1: 2 * low, 3: 8 * low, 4: high, 1000: high} {
		var least, most = high, time.Duration(0)
		for range 2000 {
			wait := fullJitter(low, high, failures)
			least, most = min(least, wait), max(most, wait)
		}
		if most > limit || most < limit*9/10 || least > limit/10 {
			t.Errorf("after %d failures the wait is %s to %s, not 0 to %s", failures, least, most, limit)
		}
	}
}

func TestLostConnectionIsOfflineOnceItsPlaceIsGone(t *testing.T) {
	t.Parallel()
	b := newStatusBoard()
	b.welcomed(push.Welcome{Reconnect: 3600})
	b.lost(nil)
	b.lost(nil)
	if s, _ := b.read(); s.State != Recovering {
		t.Errorf("within the time that its place is kept it is %s", s.State)
	}
	b.welcomed(push.Welcome{})
	b.lost(nil)
	b.lost(nil)
	if s, _ := b.read(); s.State != Offline {
		t.Errorf("past that time it is %s", s.State)
	}
}

func BenchmarkTakeOutcome(b *testing.B) {
	o := push.Outcome{
		Seq: 1, ID: []byte(`"c-42"`), CommandID: "0190b1f0-0000-7000-8000-000000000000", Device: "lamp-1",
		Method: "relay.set", At: time.Unix(1_700_000_000, 0), Origin: "device", Source: push.SourceLive,
		Response: []byte(`{"jsonrpc":"2.0","id":"c-42","result":{"on":true,"executions":17}}`),
	}
	line := o.Append(nil)
	s := &session{listener: &Listener{calls: newCallBook()}, queue: make(chan item, 1)}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.take(context.Background(), line, nil); err != nil {
			b.Fatal(err)
		}
		<-s.queue
	}
}
