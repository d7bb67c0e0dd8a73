package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
)

// A lost socket: what it had not acked waits in the mailbox at once, the client stays bound,
// and on another pusher it gets everything; naming its session makes the first let go.
func TestLostSocketComesBackElsewhere(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	first, second := b.start(t, "slot-0"), b.start(t, "slot-1")
	token := b.key(t, "web")
	c := first.connect(t, token)
	sent := b.publish(t, "web", "1")
	c.outcome(t)
	c.vanish()
	b.eventuallyWaiting(t, "web", 1)
	sent = append(sent, b.publish(t, "web", "2")...) // nobody is there
	b.eventuallyWaiting(t, "web", 2)
	if !b.bound(t, "slot-0", "web") {
		t.Fatal("not bound any more")
	}
	c = second.connect(t, token, push.ClientFrame{Session: c.welcome.Session})
	got := c.outcomes(t, 2)
	for _, id := range sent {
		if got[id].Source != "mailbox" {
			t.Fatalf("%s: got %+v", id, got[id])
		}
	}
	b.eventuallyBound(t, "slot-0", "web", false)
	b.publish(t, "web", "3")
	c.outcomes(t, 1)
	b.eventuallyWaiting(t, "web", 0)
}

// Back on the same pusher there is nothing to do for the broker.
func TestLostSocketComesBackHere(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	token := b.key(t, "web")
	c := p.connect(t, token)
	c.vanish()
	brokertest.Eventually(t, "the session is gone", func() bool { return p.metric(t, "cupline_push_sessions") == 0 })
	p.connect(t, token, push.ClientFrame{Session: c.welcome.Session})
	if n := p.metric(t, `cupline_push_bindings_total{op="bind"}`); n != 1 {
		t.Fatalf("%v bindings made, want 1", n)
	}
	if n := p.metric(t, `cupline_push_bindings_total{op="unbind"}`); n != 0 {
		t.Fatalf("%v bindings undone", n)
	}
}

func TestPlaceIsKeptOnlySoLong(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Reconnect = 300 * time.Millisecond })
	c := p.connect(t, b.key(t, "web"))
	c.vanish()
	b.eventuallyBound(t, "slot-0", "web", false)
}

// The second pusher on a slot waits, says so, and takes over when the first ends.
func TestTwoPushersOnOneSlot(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	first := b.start(t, "slot-0")
	second := b.begin(t, "slot-0")
	brokertest.Eventually(t, "the second says what it waits for", func() bool {
		ok, missing := second.ready(t)
		return !ok && strings.Contains(missing["slot"], "slot slot-0 is held by another pusher")
	})
	token := b.key(t, "web")
	first.connect(t, token)
	first.stop(t)
	second.eventuallyReady(t)
	c := second.connect(t, token)
	b.publish(t, "web", "1")
	c.outcomes(t, 1)
}

// A pusher that is cut off with unacked outcomes, and never comes back: they reach the
// client on another one, within the queue's time-to-live.
func TestPusherDies(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	proxy := b.broker.Proxy(t)
	dying, other := b.start(t, "slot-0", b.throughProxy(proxy)), b.start(t, "slot-1")
	token := b.key(t, "web")
	c := dying.connect(t, token)
	sent := b.publish(t, "web", "1")
	c.outcome(t)
	proxy.Refuse()
	c.vanish()
	dying.abandon(t)
	began := time.Now()
	c = other.connect(t, token, push.ClientFrame{Session: c.welcome.Session})
	sent = append(sent, b.publish(t, "web", "2")...) // goes both ways
	got := c.outcomes(t, 2)
	if len(got) != 2 || got[sent[0]].CommandID == "" || got[sent[1]].CommandID == "" {
		t.Fatalf("got %+v", got)
	}
	if took := time.Since(began); took > topology.PushTTL+20*time.Second { // with what a busy machine takes for the rest
		t.Fatalf("took %s", took)
	}
}

// The slot's link is cut and comes back: sockets stay, what was unacked is not sent again,
// an ack that came meanwhile counts, and everything is bound as before.
func TestLinkIsCut(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	proxy := b.broker.Proxy(t)
	p := b.start(t, "slot-0", b.throughProxy(proxy))
	c := p.connect(t, b.key(t, "web"))
	sent := b.publish(t, "web", "acked meanwhile", "acked later")
	c.outcome(t)
	c.outcome(t)
	proxy.Refuse()
	brokertest.Eventually(t, "the slot's link is seen to be cut", func() bool {
		_, missing := p.ready(t)
		return missing["broker (pusher-slot)"] != ""
	})
	c.ack(t, 1)
	// The exchange vanishes, as when all nodes restart, and takes the binding with it.
	b.broker.Do(t, "delete the exchange", func(ctx context.Context, s *broker.Session) error {
		return s.DeleteExchange(ctx, topology.ClientsExchange)
	})
	b.broker.Declare(t, topology.Replies())
	meanwhile := b.publish(t, "web", "meanwhile") // nobody is bound
	proxy.Heal()
	p.eventuallyReady(t)
	if !b.bound(t, "slot-0", "web") {
		t.Fatal("ready, and not bound")
	}
	f := c.outcome(t)
	if f.CommandID != meanwhile[0] {
		t.Fatalf("got %+v, want %s of %v", f, meanwhile[0], sent)
	}
	c.ack(t, f.Seq)
	b.publish(t, "web", "live again")
	if f := c.outcome(t); f.Source != "live" || f.Seq != 4 {
		t.Fatalf("got %+v, want it live", f)
	}
	c.ack(t, 4)
	p.stop(t)
	b.broker.Empty(t, topology.PushQueue("slot-0"))
	b.broker.Empty(t, topology.MailboxQueue)
	if n := b.waiting(t, "web"); n != 0 {
		t.Fatalf("%d in the mailbox", n)
	}
}

// When the broker stays away, clients are told to go elsewhere; new ones too.
func TestBrokerStaysAway(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	proxy := b.broker.Proxy(t)
	p := b.start(t, "slot-0", b.throughProxy(proxy), func(s *app.Settings) { s.Patience = 300 * time.Millisecond })
	token := b.key(t, "web")
	c := p.connect(t, token)
	proxy.Refuse()
	c.closesWith(t, push.BrokerAway)
	c = p.dial(t, bearer(token))
	c.send(t, push.ClientFrame{Type: push.TypeHello})
	c.closesWith(t, push.BrokerAway)
	proxy.Heal()
	p.eventuallyReady(t)
	p.connect(t, token)
}

// A binding that an earlier holder of the slot left is undone when a reply comes by it.
func TestUnbindOnMiss(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	b.broker.Declare(t, topology.Topology{Bindings: []topology.Binding{topology.Client("slot-0", tenant, "gone")}})
	b.publish(t, "gone", "1")
	b.eventuallyWaiting(t, "gone", 1)
	b.eventuallyBound(t, "slot-0", "gone", false)
	if n := p.metric(t, `cupline_push_refused_total{cause="unknown_client"}`); n != 1 {
		t.Fatalf("%v of unknown clients, want 1", n)
	}
}

// SIGTERM: each client has a moment of its own, is unbound, and finds on another pusher
// what it had not acked.
func TestDrain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	// The one that goes when it is asked to has time for it, whatever else the machine does.
	p, other := b.start(t, "slot-0", func(s *app.Settings) { s.Grace = 10 * time.Second }), b.start(t, "slot-1")
	var clients []*client
	var tokens []string
	for _, name := range ids(5) {
		tokens = append(tokens, b.key(t, name))
		clients = append(clients, p.connect(t, tokens[len(tokens)-1]))
		b.publish(t, name, "unacked")
		clients[len(clients)-1].outcome(t)
	}
	p.cancel()
	moments := map[int64]bool{}
	for i, c := range clients {
		f := c.next(t)
		if f.Type != push.TypeDrain {
			t.Fatalf("got %+v, want drain", f)
		}
		moments[f.In] = true
		if i == 0 {
			// This one goes when it is asked to; the others wait to be closed.
			moved := other.connect(t, tokens[0], push.ClientFrame{Session: c.welcome.Session})
			c.closesWith(t, 1000)
			moved.outcomes(t, 1)
		}
	}
	if len(moments) != len(clients) {
		t.Fatalf("moments %v, want one for each of %d", moments, len(clients))
	}
	for _, c := range clients[1:] {
		c.closesWith(t, push.Drained)
	}
	p.stop(t)
	for _, binding := range b.broker.Bindings(t, topology.ClientsExchange) {
		if binding.Destination == topology.PushQueue("slot-0") {
			t.Fatalf("still bound: %+v", binding)
		}
	}
	other.connect(t, tokens[1]).outcomes(t, 1)
}

// Garbage, wherever it is put, is parked for operators; the rest flows on.
func TestGarbage(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	c := p.connect(t, b.key(t, "web"))
	good := outcome("web", "good")
	notJSON, noEnvelope, unstorable := good, good, outcome("away", "unstorable")
	notJSON.CommandID, notJSON.Body = uuid.New(), []byte(`{"jsonrpc":"2.0"`)
	unstorable.Device = "nul\x00"
	bad := []message.Message{
		notJSON.Message(),
		{Exchange: topology.RepliesExchange, Key: topology.ReplyKey(tenant, "web"), Type: noEnvelope.Message().Type, Body: []byte("garbage")},
		{Exchange: topology.RepliesExchange, Key: topology.ReplyKey(tenant, "nobody"), Body: []byte{0, 0xff}, Headers: map[string]any{"x": []byte{0xfe}}},
		{Exchange: topology.RepliesExchange, Key: "no.key.of.ours", Type: envelope.TypeAnnounce + "!", Body: nil},
		{Exchange: "", Key: topology.MailboxQueue, Body: []byte("straight into the queue")},
		unstorable.Message(),
		// Notices that name nobody are dropped, not parked.
		envelope.Announce(tenant, "nobody"), envelope.Release(tenant, "nobody", "no session"),
	}
	b.broker.Publish(t, bad...)
	b.broker.Publish(t, good.Message())
	b.publish(t, "away", "stored all the same")
	if f := c.outcome(t); f.CommandID != good.CommandID.String() {
		t.Fatalf("got %+v", f)
	}
	letters := deadletter.New(b.pool)
	brokertest.Eventually(t, "all garbage is parked", func() bool {
		list, err := letters.List(t.Context(), topology.SystemTenant, time.Time{}, 100)
		return err == nil && len(list) == len(bad)-2
	})
	b.eventuallyWaiting(t, "away", 1)
	b.broker.Empty(t, topology.MailboxQueue)
	var lines int
	err := b.pool.QueryRow(t.Context(), "select count(*) from audit_trail where stage = 'mailbox' and action = 'parked'").Scan(&lines)
	if err != nil || lines != len(bad)-2 {
		t.Fatalf("%d lines in the audit trail, %v", lines, err)
	}
}

// Without the database a connected client goes on, a key that is known connects, nothing
// is lost, and what has to be noted is noted later.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	proxy := b.database.Proxy(t)
	token := b.key(t, "web") // before anybody listens: being told of a key is to forget it
	p := b.start(t, "slot-0", func(s *app.Settings) { s.DatabaseURL = settings.Secret(b.database.ProxyURL(proxy)) })
	c := p.connect(t, token)
	o := outcome("web", "1")
	b.decided(t, o.CommandID, "web")
	proxy.Refuse()
	brokertest.Eventually(t, "the pusher is not ready", func() bool {
		ok, missing := p.ready(t)
		return !ok && missing["postgres"] != ""
	})
	b.broker.Publish(t, o.Message())
	c.outcomes(t, 1)
	second := p.connect(t, token)
	b.publish(t, "web", "2")
	second.outcomes(t, 1)
	b.publish(t, "away", "3")
	brokertest.Eventually(t, "acked deliveries do not wait for the database", func() bool {
		return p.metric(t, "cupline_push_in_flight") == 0
	})
	proxy.Heal()
	b.eventuallyWaiting(t, "away", 1)
	brokertest.Eventually(t, "the ack is noted", func() bool {
		row, err := ledger.NewReader(b.pool).ByCommandID(t.Context(), tenant, "web", o.CommandID)
		return err == nil && !row.Delivered.IsZero()
	})
	p.eventuallyReady(t)
}

// A slot that nobody holds is unbound, emptied into the mailbox, and deleted; bindings
// that are left in a slot which is taken over are undone.
func TestFreeSlotIsPruned(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.broker.Declare(t, topology.Push("gone"), topology.Push("slot-0"), topology.Topology{Bindings: []topology.Binding{
		topology.Client("gone", tenant, "web"), topology.Client("gone", tenant, "other"), topology.Client("slot-0", tenant, "left"),
	}})
	b.publish(t, "web", "1")
	b.start(t, "slot-0", func(s *app.Settings) {
		s.SlotFree, s.ManagementURL = time.Second, settings.Secret(b.broker.ManagementURL())
	})
	b.eventuallyWaiting(t, "web", 1)
	brokertest.Eventually(t, "the slot's queue is deleted", func() bool { return !b.broker.QueueExists(t, topology.PushQueue("gone")) })
	b.eventuallyBound(t, "slot-0", "left", false)
	if bindings := b.broker.Bindings(t, topology.ClientsExchange); len(bindings) != 0 {
		t.Fatalf("left: %+v", bindings)
	}
	// It goes last, behind the queue.
	brokertest.Eventually(t, "the slot's lock is free", func() bool { return !b.broker.QueueExists(t, topology.SlotLock("gone")) })
}
