package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ledger is a channel's other end: it knows what was delivered, what its handler decided,
// and what the broker was told, and objects to what a broker would object to.
type ledger struct {
	t *testing.T

	mu      sync.Mutex
	open    []uint64 // delivered and not settled, in order
	decided map[uint64]verdict
	told    map[uint64]verdict
	frames  []string
}

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, decided: map[uint64]verdict{}, told: map[uint64]verdict{}}
}

func (l *ledger) Ack(tag uint64, multiple bool) error {
	l.settle(tag, multiple, acked)
	return nil
}

func (l *ledger) Reject(tag uint64, requeue bool) error {
	v := rejected
	if requeue {
		v = requeued
	}
	l.settle(tag, false, v)
	return nil
}

func (l *ledger) settle(tag uint64, multiple bool, v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frames = append(l.frames, fmt.Sprintf("%s %d %t", v, tag, multiple))
	found := false
	var rest []uint64
	for _, o := range l.open {
		if o != tag && (!multiple || o > tag) {
			rest = append(rest, o)
			continue
		}
		found = found || o == tag
		if l.decided[o] != v {
			l.t.Errorf("%d is %s by a frame for %d, but its handler said %s", o, v, tag, l.decided[o])
		}
		l.told[o] = v
	}
	if !found {
		l.t.Errorf("unknown delivery tag %d: the broker would close the channel", tag)
	}
	l.open = rest
}

// deliver hands out one more delivery.
func (l *ledger) deliver(s *settlements, tag uint64) *Delivery {
	d := &Delivery{tag: tag}
	l.mu.Lock()
	l.open = append(l.open, tag)
	l.mu.Unlock()
	if !s.add(d) {
		l.t.Fatalf("delivery %d was not taken", tag)
	}
	return d
}

func (l *ledger) decide(d *Delivery, v verdict) {
	l.mu.Lock()
	if l.decided[d.tag] == open {
		l.decided[d.tag] = v
	}
	l.mu.Unlock()
	d.settle(v)
}

func (l *ledger) expect(frames ...string) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if fmt.Sprint(l.frames) != fmt.Sprint(frames) {
		l.t.Fatalf("sent %q, want %q", l.frames, frames)
	}
	l.frames = nil
}

func (l *ledger) settlements(run AckRun) *settlements {
	return newSettlements(l, run, func(int) {}, func(verdict) {})
}

// TestSettleInRandomOrder: whatever the order, and however many goroutines settle, each
// delivery is told to the broker exactly once, with its own verdict, and never early.
func TestSettleInRandomOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			settleRandomly(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func settleRandomly(t *testing.T, random *rand.Rand) {
	l := newLedger(t)
	s := l.settlements(AckRun{Max: 1 + random.IntN(64), Delay: time.Duration(random.IntN(5)+1) * time.Millisecond})
	var keeping sync.WaitGroup
	keeping.Go(func() { s.keep(t.Context()) })
	const workers = 4
	work := make(chan *Delivery, 1+random.IntN(256))
	var working sync.WaitGroup
	for range workers {
		own := rand.New(rand.NewPCG(random.Uint64(), 2))
		working.Go(func() {
			var held []*Delivery
			for d := range work {
				held = append(held, d)
				for len(held) > own.IntN(20) {
					i := own.IntN(len(held))
					v := acked
					if own.IntN(10) == 0 {
						v = rejected + verdict(own.IntN(2))
					}
					l.decide(held[i], v)
					held[i].Ack() // a second verdict does nothing
					held = append(held[:i], held[i+1:]...)
				}
			}
			for _, d := range held {
				l.decide(d, acked)
			}
		})
	}
	const n = 2000
	for tag := range uint64(n) {
		work <- l.deliver(s, tag+1)
	}
	close(work)
	working.Wait()
	<-s.shutdown()
	s.flush()
	s.close()
	keeping.Wait()
	if len(l.told) != n || len(l.open) != 0 {
		t.Fatalf("%d of %d settled, %d open", len(l.told), n, len(l.open))
	}
	t.Logf("%d frames for %d deliveries", len(l.frames), n)
}

func TestRunsAreGathered(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.settlements(AckRun{Max: 4, Delay: time.Hour})
	var ds []*Delivery
	for tag := range uint64(10) {
		ds = append(ds, l.deliver(s, tag+1))
	}
	for _, d := range ds[:3] {
		l.decide(d, acked)
	}
	s.send(false)
	l.expect() // too short, and it may wait
	l.decide(ds[3], acked)
	s.send(false)
	l.expect("acked 4 true")
	for _, d := range ds[5:] {
		l.decide(d, acked) // behind a gap
	}
	s.send(false)
	l.expect()
	l.decide(ds[4], rejected) // closes the gap
	s.send(false)
	l.expect("rejected 5 false", "acked 10 true")
}

func TestAnOldGapIsPassedOneByOne(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.settlements(AckRun{Max: 4, Delay: time.Nanosecond})
	var ds []*Delivery
	for tag := range uint64(5) {
		ds = append(ds, l.deliver(s, tag+1))
	}
	l.decide(ds[2], acked)
	l.decide(ds[4], acked)
	s.send(false)
	l.expect("acked 3 false", "acked 5 false")
	l.decide(ds[3], acked) // the same gap still stands: at once
	if !s.gapIsOld || len(s.wake) != 1 {
		t.Fatal("an ack behind an old gap did not wake the sender")
	}
	s.send(false)
	l.expect("acked 4 false")
	l.decide(ds[0], acked)
	l.decide(ds[1], acked)
	s.send(true)
	l.expect("acked 2 true")
}

func TestAnIdleConsumerHasNoTimer(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.settlements(AckRun{Max: 4, Delay: time.Hour})
	d := l.deliver(s, 1)
	if _, waits := s.next(); waits || s.armed {
		t.Fatal("an open delivery needs no timer")
	}
	l.decide(d, acked)
	if wait, waits := s.next(); !waits || wait > linger {
		t.Fatalf("waits %t for %s; nothing is open, so it is to be sent soon", waits, wait)
	}
	s.flush()
	if _, waits := s.next(); waits || s.armed {
		t.Fatal("nothing waits, and there is a timer")
	}
}

func TestNothingIsSentAfterTheChannelIsGone(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.settlements(AckRun{Max: 1, Delay: time.Nanosecond})
	one, two := l.deliver(s, 1), l.deliver(s, 2)
	one.Ack()
	s.close()
	two.Reject()
	s.flush()
	l.expect()
	select {
	case <-two.Lost():
	default:
		t.Fatal("the delivery does not know that it is lost")
	}
	if s.add(&Delivery{tag: 3}) {
		t.Fatal("a delivery was taken")
	}
	var keeping sync.WaitGroup
	keeping.Go(func() { s.keep(context.Background()) })
	keeping.Wait()
}

func TestShutdownWaitsForWhatWasHandedOut(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.settlements(AckRun{Max: 64, Delay: time.Hour})
	d := l.deliver(s, 1)
	settled := s.shutdown()
	select {
	case <-settled:
		t.Fatal("one delivery is open")
	default:
	}
	if s.add(&Delivery{tag: 2}) {
		t.Fatal("a delivery was taken after shutdown")
	}
	l.decide(d, acked)
	<-settled
	<-s.shutdown() // twice is fine
	s.flush()
	l.expect("acked 1 false")
}
