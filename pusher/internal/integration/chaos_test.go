package integration

import (
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/schema/topology"
)

// All links to broker and database are cut again and again, and the client's socket too,
// while outcomes flow: the client gets each one, and in the end nothing is left anywhere.
func TestNothingIsLostWhateverBreaks(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	brokerProxy, databaseProxy := b.broker.Proxy(t), b.database.Proxy(t)
	token := b.key(t, "web") // before anybody listens: being told of a key is to forget it
	p := b.start(t, "slot-0", b.throughProxy(brokerProxy), func(s *app.Settings) {
		s.DatabaseURL = settings.Secret(b.database.ProxyURL(databaseProxy))
		s.Window, s.Unacked = 8, time.Second
	})
	c := p.connect(t, token) // its key is known from here on: nobody else is let in while the database is cut
	const outcomes, rounds = 400, 8
	published := make(chan []string, 1)
	go func() {
		var all []string
		for range rounds {
			all = append(all, b.publish(t, "web", ids(outcomes/rounds)...)...)
			brokerProxy.Cut()
			databaseProxy.Cut()
		}
		published <- all
	}()
	got := map[string]bool{}
	for sockets := 0; len(got) < outcomes; sockets++ {
		if sockets > 0 {
			c = p.connect(t, token, push.ClientFrame{Session: c.welcome.Session})
		}
		for len(got) < outcomes {
			f := c.outcome(t)
			got[f.CommandID] = true
			if sockets < 5 && f.Seq == 40 {
				c.vanish()
				break
			}
			c.ack(t, f.Seq)
		}
	}
	for _, id := range <-published {
		if !got[id] {
			t.Fatalf("%s never came", id)
		}
	}
	// Copies may come still; they are acked, too.
	go func() {
		for f := range c.frames {
			if f.Type == push.TypeOutcome {
				_ = c.ws.WriteMessage(1, push.ClientFrame{Type: push.TypeAck, Seq: f.Seq}.Line())
			}
		}
	}()
	b.eventuallyWaiting(t, "web", 0)
	p.eventuallyReady(t)
	brokertest.Eventually(t, "nothing is in flight", func() bool { return p.metric(t, "cupline_push_in_flight") == 0 })
	p.stop(t)
	b.broker.Empty(t, topology.PushQueue("slot-0"))
}

// A commit whose answer is lost: the outcome is stored once, announced, and comes once.
func TestCommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	proxy := b.database.Proxy(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.DatabaseURL = settings.Secret(b.database.ProxyURL(proxy)) })
	// Statements are prepared by then, so that the outcome goes in one packet with its commit.
	for i, id := range b.publish(t, "away", ids(8)...) {
		brokertest.Eventually(t, id+" is stored", func() bool { return b.waiting(t, "away") >= int64(i+1) })
	}
	c := p.connect(t, b.key(t, "web"))
	o := outcome("web", "the marked outcome")
	lost := proxy.LoseAnswer([]byte("the marked outcome"))
	m := o.Message()
	m.Exchange = topology.MailboxExchange
	b.broker.Publish(t, m)
	<-lost
	f := c.outcome(t)
	if f.CommandID != o.CommandID.String() {
		t.Fatalf("got %+v, want %s", f, o.CommandID)
	}
	// It may come before it is announced: a look into the mailbox was due anyway. Acked by then it would count as delivered.
	already := `cupline_mailbox_taken_total{fate="already"}`
	brokertest.Eventually(t, "it is found already there", func() bool { return p.metric(t, already) > 0 })
	c.ack(t, f.Seq)
	b.eventuallyWaiting(t, "web", 0)
	if n := p.metric(t, already); n != 1 {
		t.Fatalf("found already there: %v, want 1", n)
	}
	c.quiet(t, 200*time.Millisecond)
}
