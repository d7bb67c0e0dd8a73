package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/schema/push"
)

func TestWelcomeComesAfterTheBinding(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).up()
	release := r.table.hold()
	l, done := r.open("web", "")
	<-r.table.calls
	select {
	case f := <-l.frames:
		t.Fatalf("got %s before the binding", f)
	default:
	}
	// What comes before the welcome goes to the mailbox, which is read after it.
	r.deliver("web", 1).is(t, string(session.NotConnected))
	release()
	<-done
	l.expect(t, "welcome")
	r.deliver("web", 2)
	l.expect(t, "outcome")
}

// Clients that come at once are bound in one round trip.
func TestBindingsAreGathered(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).up()
	release := r.table.hold()
	_, first := r.open("first", "")
	<-r.table.calls
	var all sync.WaitGroup
	for i := range 100 {
		_, done := r.open(fmt.Sprint(i), "")
		all.Go(func() { <-done })
	}
	eventually(t, "all wait", func() bool {
		r.binder.mu.Lock()
		defer r.binder.mu.Unlock()
		return len(r.binder.lists[toBind]) == 100
	})
	release()
	all.Wait()
	<-first
	if n := len(r.table.calls); n != 1 {
		t.Fatalf("%d rounds for 100 clients", n)
	}
}

func TestClientThatWentIsNotBound(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).up()
	release := r.table.hold()
	_, first := r.open("first", "")
	<-r.table.calls
	l, done := r.open("web", "")
	eventually(t, "it waits", func() bool { return len(r.allSessions()) == 2 })
	l.LetGo()
	release()
	<-first
	if r.table.has("web") {
		t.Fatal("bound")
	}
	l2 := r.connect("web", "") // it comes back
	l2.LetGo()
	<-done
}

func TestPlaceIsKeptForAWhile(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).up()
	l := r.connect("web", "")
	l.Lost()
	r.deliver("web", 1).is(t, string(session.NotConnected))
	if !r.table.has("web") {
		t.Fatal("unbound at once")
	}
	again := r.connect("web", l.ID())
	r.find(Key{"t", "web"}).Fire(time.Now().Add(2 * r.Hub.cfg.Keep)) // past the time that was to end its keeping
	if err := r.binder.settled(t.Context()); err != nil || !r.table.has("web") {
		t.Fatalf("unbound under a client that came back (%v)", err)
	}
	if len(r.released) != 0 {
		t.Fatalf("released %v, although it came back here", r.released)
	}
	again.LetGo()
	brief := newRig(t, func(c *Config) { c.Keep = 50 * time.Millisecond }).up()
	brief.connect("web", "").Lost()
	eventually(t, "unbound", func() bool { return !brief.table.has("web") })
	eventually(t, "forgotten", func() bool { return brief.find(Key{"t", "web"}) == nil })
}

func TestReleases(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).up()
	const elsewhere = "6f1ed002-ab55-4959-94f0-d1e4b4b3c4a5"
	first := r.connect("web", elsewhere)
	if !slices.Equal(r.released, []string{elsewhere}) {
		t.Fatalf("released %v", r.released)
	}
	// Its own release comes back to it, and means nobody here.
	r.Released(Key{"t", "web"}, elsewhere)
	// A client that opens a new socket before it has lost the old one takes over.
	second := r.connect("web", first.ID())
	first.closes(t, 1000)
	// It comes back on another pusher.
	r.Released(Key{"t", "web"}, second.ID())
	second.closes(t, 1000)
	eventually(t, "unbound", func() bool { return !r.table.has("web") })
	// A place that is only kept goes at once.
	third := r.connect("web", "")
	third.Lost()
	r.Released(Key{"t", "web"}, third.ID())
	eventually(t, "unbound", func() bool { return !r.table.has("web") })
}

func TestUnbindOnMiss(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).up()
	r.table.bound[Key{"t", "gone"}] = true
	release := r.table.hold()
	for i := range 10 {
		r.deliver("gone", byte(i))
	}
	if name := <-r.table.calls; name != "unbind" {
		t.Fatalf("called %s", name)
	}
	// It comes back just now: it has to be bound in the end.
	_, done := r.open("gone", "")
	eventually(t, "it waits", func() bool { return len(r.allSessions()) == 1 })
	release()
	<-done
	if !r.table.has("gone") {
		t.Fatal("a client that is here is not bound")
	}
	for len(r.table.calls) > 0 {
		if name := <-r.table.calls; name == "unbind" {
			t.Fatal("unbound twice")
		}
	}
}

func TestOutageKeepsSessionsAndBindsAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).up()
	l := r.connect("web", "")
	r.Down()
	clear(r.table.bound)
	_, done := r.open("new", "")
	eventually(t, "the new one waits", func() bool { return len(r.allSessions()) == 2 })
	r.table.setFail(errors.New("lost again"))
	if err := r.Up(t.Context(), r.table); err == nil {
		t.Fatal("up without bindings")
	}
	r.table.setFail(nil)
	r.up()
	if !r.table.has("web") || !r.table.has("new") {
		t.Fatal("up, and not all are bound")
	}
	<-done
	r.deliver("web", 1)
	l.expect(t, "outcome")
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Patience = 20 * time.Millisecond }).up()
	l := r.connect("web", "")
	r.Down()
	l.closes(t, push.BrokerAway)
	r.up()
	r.connect("web", "")
}

func TestDrainGivesEachAMoment(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.DrainLimit = 100 * time.Millisecond }).up()
	var lines []*line
	for i := range 5 {
		lines = append(lines, r.connect(fmt.Sprint(i), ""))
	}
	if err := r.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	moments := map[string]bool{}
	for _, l := range lines {
		f := <-l.frames
		moments[f] = true
		l.closes(t, push.Drained)
	}
	if len(moments) != 5 {
		t.Fatalf("moments %v", moments)
	}
	if len(r.table.bound) != 0 {
		t.Fatalf("still bound: %v", r.table.bound)
	}
	late, done := r.open("late", "")
	<-done
	late.closes(t, push.Drained)
}

func TestDrainOutOfTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.DrainGrace = time.Hour }).up()
	l := r.connect("web", "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_ = r.Drain(ctx) // out of time for the bindings as well
	<-l.frames
	l.closes(t, push.Drained)
}

// A mailbox is read from where all before is acked, and from its beginning when nothing is there though something waits.
func TestMailboxIsReadFromItsOldest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := &Place{hub: r.Hub}
	for _, step := range []struct {
		waiting, oldest int64
		from            int64
		again           bool
	}{
		{waiting: 5, oldest: 70, from: 70},
		{waiting: 2, oldest: 73, from: 73},
		{waiting: 0, oldest: 0, from: 73},             // what comes next is behind
		{waiting: 1, oldest: 0, from: 0, again: true}, // a database that was restored
		{waiting: 1, oldest: 0, from: 0},
	} {
		r := Read{From: p.from, session: &session.Session{}}
		if again := p.Filled(r, nil, step.waiting, step.oldest); again != step.again || p.from != step.from {
			t.Fatalf("%+v: goes on at %d, again %v", step, p.from, again)
		}
	}
}

func TestMailIsReadAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil).up()
	l := r.connect("web", "")
	p := r.find(Key{"t", "web"})
	p.mu.Lock()
	p.reading = true // as if a reader had it
	p.mu.Unlock()
	p.ReadFailed()
	eventually(t, "read again, to the end", func() bool { // while somebody is at it an announcement is left to him
		r.mu.Lock()
		reads := len(r.reads)
		r.mu.Unlock()
		p.mu.Lock()
		defer p.mu.Unlock()
		return reads == 1 && !p.reading
	})
	r.Announced(Key{"t", "web"})
	if len(r.reads) != 2 {
		t.Fatalf("%d reads", len(r.reads))
	}
	l.LetGo()
}

// A session with mail that cannot be read is live meanwhile.
func TestUnreadableMailboxDoesNotHoldUpWhatIsLive(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.RereadAfter = time.Hour }).up()
	r.waiting, r.failing = 3, true
	l := r.connect("web", "")
	l.expect(t, `"type":"lag","on":false`)
	r.deliver("web", 1)
	l.expect(t, `"source":"live"`)
}

// Whatever clients and the broker's link do at once: in the end those who are here are
// bound, and nobody else is.
func TestTableMatchesWhoIsHere(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Keep = time.Millisecond }).up()
	var all sync.WaitGroup
	stay := make([]*line, 20)
	for i := range stay {
		all.Go(func() {
			name := fmt.Sprint("client-", i)
			for range 30 {
				l, done := r.open(name, "")
				<-done
				switch rand.IntN(4) {
				case 0:
					l.Lost()
				case 1:
					l.LetGo()
				case 2:
					r.deliver(name, 1)
					l.End(push.BrokerAway)
				case 3:
					r.passes(time.Duration(rand.IntN(3)) * time.Millisecond)
					l.Lost()
				}
			}
			if i%2 == 0 {
				l, done := r.open(name, "")
				<-done
				stay[i] = l
			}
		})
	}
	all.Go(func() {
		for range 20 {
			r.passes(2 * time.Millisecond)
			r.Down()
			r.passes(time.Millisecond)
			if err := r.Up(context.Background(), r.table); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	eventually(t, "the table matches", func() bool {
		r.table.mu.Lock()
		defer r.table.mu.Unlock()
		for i := range stay {
			if r.table.bound[Key{"t", fmt.Sprint("client-", i)}] != (stay[i] != nil) {
				return false
			}
		}
		return len(r.allPlaces()) == len(stay)/2
	})
	for i, l := range stay {
		if l != nil {
			r.deliver(fmt.Sprint("client-", i), 2)
		}
	}
}

func BenchmarkDeliver(b *testing.B) {
	r := newRig(b, nil).up()
	for i := range 1000 {
		r.connect(fmt.Sprint(i), "")
	}
	l := r.connect("web", "")
	b.ReportAllocs()
	seq, n := uint64(0), byte(0)
	for b.Loop() {
		it := session.NewLive(silent{})
		seq, n = seq+1, n+1
		it.ID[0], it.ID[1], it.Tenant, it.Client = n, byte(seq>>8), "t", "web"
		it.Outcome = push.Outcome{CommandID: "x", Response: []byte("{}")}
		r.Deliver(it)
		<-l.frames
		l.Receive(b.Context(), push.ClientFrame{Type: push.TypeAck, Seq: seq})
	}
}

type silent struct{}

func (silent) Settle(*session.Item, session.Verdict) {}
func (silent) Lost() bool                            { return false }
