package session

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/push"
)

func parcels(n int) []*parcel {
	all := make([]*parcel, n)
	for i := range all {
		all[i] = &parcel{id: uuid.New()}
	}
	return all
}

func (w *world) ack(seq uint64) { w.send(push.ClientFrame{Type: push.TypeAck, Seq: seq}) }

func TestAcksAreCumulative(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	ps := parcels(3)
	for _, p := range ps {
		w.offer(p, 10)
	}
	w.ack(2)
	w.ack(1)
	if !ps[0].is("acked") || !ps[1].is("acked") || !ps[2].is() || ps[0].doubtful {
		t.Fatalf("verdicts %v %v %v, doubtful %v", ps[0].verdicts, ps[1].verdicts, ps[2].verdicts, ps[0].doubtful)
	}
	w.ack(3)
	if !ps[2].is("acked") || len(w.receipts) != 0 {
		t.Fatalf("verdicts %v, receipts %v", ps[2].verdicts, w.receipts)
	}
}

func TestWindowInOutcomesAndInBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ size, fit int }{
		"outcomes": {10, 8}, "bytes": {2000, 3}, "one of any size": {1 << 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.open()
			ps := parcels(c.fit + 2)
			for _, p := range ps {
				w.offer(p, c.size)
			}
			if p := ps[c.fit]; !p.is("refused") || p.cause != WindowFull {
				t.Fatalf("verdicts %v, cause %s", p.verdicts, p.cause)
			}
			if p := ps[c.fit+1]; !p.is("refused") || p.cause != Lagging {
				t.Fatalf("verdicts %v, cause %s", p.verdicts, p.cause)
			}
			if n := w.session.window.Len(); n != c.fit {
				t.Fatalf("%d unacked, want %d", n, c.fit)
			}
			if last := w.line.frames[len(w.line.frames)-1]; last.Type != "lag" || !last.On {
				t.Fatalf("last frame %+v", last)
			}
		})
	}
}

func TestUnackedGoesToTheMailboxAndCountsStill(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	ps := parcels(2)
	w.offer(ps[0], 10)
	w.pass(2 * time.Second)
	w.offer(ps[1], 10)
	w.pass(2900 * time.Millisecond)
	if !ps[0].is() {
		t.Fatalf("given up too early")
	}
	w.pass(200 * time.Millisecond)
	if !ps[0].is("refused") || ps[0].cause != Unacked || !ps[1].is() || !slices.Equal(w.lags, []Cause{Unacked}) {
		t.Fatalf("verdicts %v %v, cause %s, lags %v", ps[0].verdicts, ps[1].verdicts, ps[0].cause, w.lags)
	}
	// The socket is kept; a late ack of both is worth as much as ever.
	w.ack(2)
	if !ps[1].is("acked") || !ps[1].doubtful || !slices.Equal(w.receipts, []uuid.UUID{ps[0].id}) {
		t.Fatalf("verdicts %v, doubtful %v, receipts %v", ps[1].verdicts, ps[1].doubtful, w.receipts)
	}
	if w.mails == 0 {
		t.Fatal("its mail is not asked for")
	}
	w.pass(time.Second)
	w.session.CaughtUp(w.now)
	if w.offer(&parcel{id: uuid.New()}, 10) != Taken {
		t.Fatal("not live again")
	}
}

func TestLagDoesNotFlap(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	for _, p := range parcels(9) {
		w.offer(p, 10)
	}
	w.ack(8)
	w.session.CaughtUp(w.now)
	if w.offer(&parcel{id: uuid.New()}, 10) != Lagging {
		t.Fatal("live again at once")
	}
	asked := w.mails
	w.pass(600 * time.Millisecond)
	if w.mails == asked {
		t.Fatal("the mailbox is not asked for after the dwell")
	}
	w.session.CaughtUp(w.now)
	if w.offer(&parcel{id: uuid.New()}, 10) != Taken {
		t.Fatal("not live again")
	}
}

func TestFirstAckOfAnySocketSettles(t *testing.T) {
	t.Parallel()
	a, b := newWorld(), newWorld()
	a.open()
	b.open()
	p := &parcel{id: uuid.New()}
	it := liveItem(p, 10)
	for _, w := range []*world{a, b} {
		if cause := w.session.Offer(w.now, it); cause != Taken {
			t.Fatalf("refused: %s", cause)
		}
	}
	it.Release(Taken)
	a.session.Lost()
	if !p.is() {
		t.Fatalf("verdicts %v while another socket has it", p.verdicts)
	}
	b.ack(1)
	if !p.is("acked") {
		t.Fatalf("verdicts %v", p.verdicts)
	}
	// What nobody acked goes to the mailbox with the last socket only.
	p = &parcel{id: uuid.New()}
	b.offer(p, 10)
	b.session.Lost()
	if !p.is("refused") {
		t.Fatalf("verdicts %v", p.verdicts)
	}
}

func TestRedeliveryIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	first, second := &parcel{id: uuid.New()}, &parcel{}
	second.id = first.id
	w.offer(first, 10)
	first.lost = true
	w.offer(second, 10)
	w.frames(t, "welcome", "outcome")
	if !first.is("refused") {
		t.Fatalf("the lost delivery is held still: %v", first.verdicts)
	}
	w.ack(1)
	if !second.is("acked") {
		t.Fatalf("verdicts %v", second.verdicts)
	}
	// Once more, after the ack: the broker had not heard of it.
	third := &parcel{id: first.id}
	w.offer(third, 10)
	w.frames(t, "welcome", "outcome")
	if !third.is("acked") || !third.doubtful {
		t.Fatalf("verdicts %v, doubtful %v", third.verdicts, third.doubtful)
	}
}

func TestCopyOfWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	first := &parcel{id: uuid.New()}
	w.offer(first, 10)
	again := &parcel{id: first.id}
	w.offer(again, 10)
	if !again.is("covered") || !first.is() {
		t.Fatalf("verdicts %v %v", again.verdicts, first.verdicts)
	}
}

func TestWhenCopiesMayLieInTheMailbox(t *testing.T) {
	t.Parallel()
	for name, doubt := range map[string]func(w *world, it *Item){
		"redelivered":    func(_ *world, it *Item) { it.Redelivered = true },
		"announced":      func(w *world, _ *Item) { w.session.Announced(w.now.Add(time.Second)) },
		"unknown mail":   func(w *world, _ *Item) { w.session.Fill(w.now.Add(time.Second), nil, 1, 0) },
		"delivery lost":  func(_ *world, it *Item) { it.live.(*parcel).lost = true },
		"session lagged": func(w *world, _ *Item) { w.session.Fill(w.now, nil, 1, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.open()
			p := &parcel{id: uuid.New()}
			it := liveItem(p, 10)
			w.session.Offer(w.now, it)
			it.Release(Taken)
			doubt(w, it)
			w.now = w.now.Add(2 * time.Second)
			w.ack(1)
			if !p.is("acked") || !p.doubtful {
				t.Fatalf("verdicts %v, doubtful %v", p.verdicts, p.doubtful)
			}
		})
	}
}

func TestAcksNotYetNotedDoNotLookLikeABacklog(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	w.session.Fill(w.now, []*Item{storedItem(uuid.New(), 10)}, 0, 0)
	w.ack(1)
	// The mailbox still counts the one that was acked.
	f := w.session.InFlight(nil)
	if sent, full := w.session.Fill(w.now, []*Item{storedItem(uuid.New(), 10)}, 1-f.Stored, 1-f.Stored-f.Recent); sent != 1 || full {
		t.Fatalf("sent %d, full %v", sent, full)
	}
	w.frames(t, "welcome", "outcome", "outcome")
}

// What a client acks while its mailbox is being read is asked for in the same look; whoever takes longer gets no more than fits.
func TestLooksAskForWhatWillBeAcked(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open() // a window of 8
	fill := func(n, wait int) {
		t.Helper()
		items := make([]*Item, n)
		for i := range items {
			items[i] = storedItem(uuid.New(), 1)
		}
		w.session.Fill(w.now, items, int64(wait), int64(wait))
	}
	asks := func(want int) {
		t.Helper()
		if f := w.session.InFlight(nil); f.Outcomes != want {
			t.Fatalf("a look asks for %d, want %d", f.Outcomes, want)
		}
	}
	asks(8)
	fill(8, 9)
	w.ack(4)
	asks(4)
	w.ack(8) // while the mailbox is read
	fill(4, 9)
	asks(8) // four lie with the client, which takes four in the time of a look
	fill(8, 9)
	w.ack(12)
	asks(4) // it did not
	for range 2*Remembered(8) + 5 {
		fill(1, 9)
		w.ack(w.session.window.sent)
	}
	if n := len(w.session.recent.ids); n < Remembered(8) {
		t.Errorf("%d acks of the mailbox's are remembered", n)
	}
	w.pass(remember)
	for range 50 {
		w.offer(&parcel{id: uuid.New()}, 10)
		w.ack(w.session.window.sent)
	}
	if n := len(w.session.recent.ids); n > 2*8 {
		t.Errorf("%d acks of live outcomes are remembered", n)
	}
}

func TestEvictedMakesTheSessionLag(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.open()
	p := &parcel{id: uuid.New()}
	it := liveItem(p, 10)
	w.session.Offer(w.now, it)
	it.Release(Taken)
	it.Evict(Crowded)
	it.Evict(Crowded)
	if !p.is("refused") || p.cause != Crowded {
		t.Fatalf("verdicts %v, cause %s", p.verdicts, p.cause)
	}
	if w.offer(&parcel{id: uuid.New()}, 10) != Lagging {
		t.Fatal("the session does not lag")
	}
	w.ack(1)
	if !slices.Equal(w.receipts, []uuid.UUID{p.id}) {
		t.Fatalf("receipts %v", w.receipts)
	}
}

func BenchmarkOfferAndAck(b *testing.B) {
	w := newWorld()
	w.cfg.Limits.Window = 64
	w.open()
	w.line.onSend = nil
	w.session.out = devNull{}
	p := &parcel{}
	it := liveItem(&parcel{id: uuid.New()}, 200)
	b.ReportAllocs()
	seq := uint64(0)
	for b.Loop() {
		id := uuid.UUID{0: byte(seq), 1: byte(seq >> 8), 2: byte(seq >> 16), 3: byte(seq >> 24)}
		next := &Item{ID: id, live: p, Outcome: it.Outcome}
		p.verdicts = p.verdicts[:0]
		w.session.Offer(w.now, next)
		if seq++; seq%32 == 0 {
			w.ack(seq)
		}
	}
}

type devNull struct{}

func (devNull) Send([]byte)          {}
func (devNull) Close(push.CloseCode) {}
