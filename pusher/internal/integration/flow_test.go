package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/schema/topology"
)

func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	return all
}

// Past the window outcomes go through the mailbox, until the client has caught up.
func TestPastTheWindow(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	c := p.connect(t, b.key(t, "web"), push.ClientFrame{Window: 4})
	if c.welcome.Window != 4 {
		t.Fatalf("welcome %+v", c.welcome)
	}
	sent := b.publish(t, "web", ids(10)...)
	for range 4 {
		if f := c.next(t); f.Type != "outcome" || f.Source != "live" {
			t.Fatalf("got %+v, want a live outcome", f)
		}
	}
	if f := c.next(t); f.Type != "lag" || !f.On {
		t.Fatalf("got %+v, want lag", f)
	}
	b.eventuallyWaiting(t, "web", 6)
	c.quiet(t, 100*time.Millisecond)
	c.ack(t, 4)
	seen := map[string]bool{}
	for range 6 {
		f := c.outcome(t)
		if f.Source != "mailbox" || seen[f.CommandID] {
			t.Fatalf("got %+v again, or not from the mailbox", f)
		}
		seen[f.CommandID] = true
		c.ack(t, f.Seq)
	}
	for _, id := range sent[4:] {
		if !seen[id] {
			t.Fatalf("%s never came", id)
		}
	}
	if f := c.next(t); f.Type != "lag" || f.On {
		t.Fatalf("got %+v, want the end of lag", f)
	}
	b.eventuallyWaiting(t, "web", 0)
	b.publish(t, "web", "live again")
	if f := c.next(t); f.Source != "live" {
		t.Fatalf("got %+v, want it live", f)
	}
}

// A client that stops acking costs the others nothing: its outcomes go to the mailbox, its
// socket is kept for a while, then closed, and a new one finds everything.
func TestSlowClientCostsNobodyElse(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Unacked, s.AckTimeout = 5*time.Second, 15*time.Second })
	token := b.key(t, "slow")
	slow, fast := p.connect(t, token), p.connect(t, b.key(t, "fast"))
	b.publish(t, "slow", ids(3)...)
	for range 3 {
		slow.outcome(t)
	}
	if f := slow.next(t); f.Type != "lag" || !f.On {
		t.Fatalf("got %+v, want lag", f)
	}
	b.eventuallyWaiting(t, "slow", 3)
	if n := p.metric(t, `cupline_push_refused_total{cause="unacked"}`); n != 3 {
		t.Fatalf("%v refused as unacked, want 3", n)
	}
	b.publish(t, "slow", "4", "5")
	for _, id := range ids(50) {
		if f := fast.expect(t, b.publish(t, "fast", id)[0]); f.Source != "live" {
			t.Fatalf("got %+v, want it live", f)
		}
	}
	b.eventuallyWaiting(t, "slow", 5)
	slow.closesWith(t, push.AckTimeout)
	again := p.connect(t, token, push.ClientFrame{Session: slow.welcome.Session})
	if again.welcome.Waiting != 5 {
		t.Fatalf("welcome %+v", again.welcome)
	}
	again.outcomes(t, 5)
	b.eventuallyWaiting(t, "slow", 0)
}

// An outcome that was given up and then acked after all does not come again.
func TestLateAckReachesTheMailbox(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Unacked = 200 * time.Millisecond })
	token := b.key(t, "web")
	c := p.connect(t, token)
	b.publish(t, "web", "1")
	f := c.outcome(t)
	b.eventuallyWaiting(t, "web", 1)
	c.ack(t, f.Seq)
	b.eventuallyWaiting(t, "web", 0)
	if f := c.next(t); f.Type != "lag" || !f.On {
		t.Fatalf("got %+v, want lag", f)
	}
	if f := c.next(t); f.Type != "lag" || f.On {
		t.Fatalf("got %+v, want the end of lag", f)
	}
}

// With more than half of the prefetch unacked, the oldest go to the mailbox, long before
// their time: those who ack do not wait behind those who do not.
func TestCrowded(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) {
		s.Prefetch, s.Crowded, s.Unacked, s.AckTimeout = 16, 50*time.Millisecond, 30*time.Second, time.Minute
	})
	slow, fast := p.connect(t, b.key(t, "slow")), p.connect(t, b.key(t, "fast"))
	b.publish(t, "slow", ids(20)...)
	for range 8 {
		slow.outcome(t)
	}
	for _, id := range ids(20) {
		fast.expect(t, b.publish(t, "fast", id)[0])
	}
	brokertest.Eventually(t, "the slow client's outcomes wait in its mailbox", func() bool { return b.waiting(t, "slow") >= 12 })
	if n := p.metric(t, `cupline_push_refused_total{cause="crowded"}`); n < 1 {
		t.Fatalf("%v refused as crowded", n)
	}
}

// Each socket of a client gets each live outcome; the first ack settles it; one of them
// reads the mailbox.
func TestSeveralSockets(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Unacked = 8 * time.Second }) // far more than either needs to ack
	token := b.key(t, "web")
	b.publish(t, "web", "stored")
	b.eventuallyWaiting(t, "web", 1)
	one, two := p.connect(t, token), p.connect(t, token)
	if f := one.next(t); f.Source != "mailbox" {
		t.Fatalf("got %+v, want it from the mailbox", f)
	}
	one.ack(t, 1)
	b.eventuallyWaiting(t, "web", 0)
	for _, c := range []*client{one, two} {
		brokertest.Eventually(t, "no session lags", func() bool {
			f := c.next(t)
			return f.Type == "lag" && !f.On
		})
	}
	live := b.publish(t, "web", "live")
	for _, c := range []*client{one, two} {
		if f := c.next(t); f.CommandID != live[0] || f.Source != "live" {
			t.Fatalf("got %+v, want %s live", f, live[0])
		}
	}
	two.ack(t, 1)
	two.vanish()
	// One lags, for it did not ack; the outcome was settled all the same.
	if f := one.next(t); f.Type != "lag" || !f.On {
		t.Fatalf("got %+v, want lag", f)
	}
	one.ack(t, 2)
	if f := one.next(t); f.Type != "lag" || f.On {
		t.Fatalf("got %+v, want the end of lag", f)
	}
	if n := b.waiting(t, "web"); n != 0 {
		t.Fatalf("%d in the mailbox", n)
	}
}

// The mailbox of a client whose reading socket stalls is read on another one.
func TestStalledSocketLeavesTheMailboxToOthers(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Unacked, s.AckTimeout = 300*time.Millisecond, time.Minute })
	token := b.key(t, "web")
	sent := b.publish(t, "web", ids(5)...)
	b.eventuallyWaiting(t, "web", 5)
	stalled := p.connect(t, token)
	for range sent {
		stalled.outcome(t)
	}
	other := p.connect(t, token)
	other.outcomes(t, 5)
	b.eventuallyWaiting(t, "web", 0)
}

func TestPingAndPong(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Ping, s.Pong = 200*time.Millisecond, 8*time.Second })
	c := p.connect(t, b.key(t, "web"))
	for range 3 {
		if f := <-c.frames; f.Type != push.TypePing {
			t.Fatalf("got %+v, want ping", f)
		}
		c.send(t, push.ClientFrame{Type: push.TypePong})
	}
	c.closesWith(t, push.NoPong)
}

// Over its quota a mailbox takes no more; the client is told how many it missed.
func TestQuota(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.MailboxOutcomes = 3 })
	b.publish(t, "web", ids(5)...)
	brokertest.Eventually(t, "two are missed", func() bool {
		counts, err := b.mailbox.Counts(t.Context(), tenant, "web")
		return err == nil && counts.Waiting == 3 && counts.Missed == 2
	})
	c := p.connect(t, b.key(t, "web"))
	if c.welcome.Waiting != 3 || c.welcome.Missed != 2 {
		t.Fatalf("welcome %+v", c.welcome)
	}
	c.outcomes(t, 3)
	b.broker.Empty(t, topology.MailboxQueue)
	var missed int
	if err := b.pool.QueryRow(t.Context(), "select count(*) from audit_trail where stage = 'mailbox' and client = 'web'").Scan(&missed); err != nil || missed != 2 {
		t.Fatalf("%d lines in the audit trail, %v", missed, err)
	}
}
