package broker

import (
	"context"
	"sync"
	"time"
)

// linger is how long acks wait for company when nothing is left open. It ends sooner when
// a run is full.
const linger = 2 * time.Millisecond

// acker is the channel as settlements use it.
type acker interface {
	Ack(tag uint64, multiple bool) error
	Reject(tag uint64, requeue bool) error
}

// settlements keeps what one channel was delivered and the broker still waits for, and
// sends the verdicts. It belongs to one channel and dies with it, so that a verdict can
// never reach a delivery of another generation.
//
// The deliveries form a list in the order of their tags. Its front is the prefix: acked,
// not sent yet, with nothing open before them; one ack with the multiple flag covers all of
// it, and with it nothing that is open. Behind the first open delivery (the gap) are others
// that may be acked; when the gap has stood for the run's delay they are sent one by one.
type settlements struct {
	sink    acker
	run     AckRun
	lost    chan struct{} // closed by close
	wake    chan struct{} // tells keep to look; holds one
	counted func(frames int)
	judged  func(verdict)
	writing sync.Mutex // held while verdicts are gathered and written, which keeps them in order

	mu          sync.Mutex // guards the rest
	gone        bool
	head, tail  *Delivery
	prefixEnd   *Delivery // last of the prefix; nil when it is empty
	prefixLen   int
	prefixSince time.Time
	beyond      int // acked behind the gap
	gapSince    time.Time
	gapIsOld    bool
	armed       bool // keep has a timer, or is about to look
	unsettled   int
	refused     []refusal
	shut        bool          // no more deliveries are taken
	settledAll  chan struct{} // closed when shut and nothing is unsettled
}

type refusal struct {
	tag     uint64
	requeue bool
}

func newSettlements(sink acker, run AckRun, counted func(int), judged func(verdict)) *settlements {
	return &settlements{
		sink: sink, run: run, counted: counted, judged: judged,
		lost: make(chan struct{}), wake: make(chan struct{}, 1), settledAll: make(chan struct{}),
	}
}

// add takes a delivery in, before it is handed out. It reports false when no more are taken.
func (s *settlements) add(d *Delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut || s.gone {
		return false
	}
	d.owner, d.prev = s, s.tail
	if s.tail == nil {
		s.head = d
	} else {
		s.tail.next = d
	}
	s.tail = d
	s.unsettled++
	return true
}

// handBack returns a delivery that was not taken in to the queue.
func (s *settlements) handBack(tag uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gone {
		s.refused = append(s.refused, refusal{tag, true})
		s.nudge()
	}
}

// settle notes a verdict; the first one of a delivery counts.
func (s *settlements) settle(d *Delivery, v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || d.state != open {
		return
	}
	s.judged(v)
	d.state = v
	atGap := d == s.gap()
	if v == acked {
		s.beyond++
		if s.beyond == 1 {
			s.gapSince = time.Now()
		}
	} else {
		s.unlink(d)
		s.refused = append(s.refused, refusal{d.tag, v == requeued})
	}
	if atGap {
		s.extend()
	}
	s.unsettled--
	if s.shut && s.unsettled == 0 {
		close(s.settledAll)
	}
	s.nudge()
}

// gap is the first delivery that is open, or nil. Needs mu.
func (s *settlements) gap() *Delivery {
	if s.prefixEnd == nil {
		return s.head
	}
	return s.prefixEnd.next
}

// extend moves the prefix up to the next gap. Needs mu.
func (s *settlements) extend() {
	now := time.Now()
	if s.prefixLen == 0 {
		s.prefixSince = now
	}
	for d := s.gap(); d != nil && d.state == acked; d = d.next {
		s.prefixEnd = d
		s.prefixLen++
		s.beyond--
	}
	s.gapSince, s.gapIsOld = now, false
}

func (s *settlements) unlink(d *Delivery) {
	if d.prev == nil {
		s.head = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		s.tail = d.prev
	} else {
		d.next.prev = d.prev
	}
	d.prev, d.next = nil, nil
}

// nudge wakes keep when something is due, or when it must begin to watch the time. Needs mu.
func (s *settlements) nudge() {
	due := len(s.refused) > 0 || s.prefixLen >= s.run.Max || s.beyond > 0 && s.gapIsOld
	waits := s.prefixLen > 0 || s.beyond > 0
	if !due && (!waits || s.armed) {
		return
	}
	s.armed = true
	select {
	case s.wake <- struct{}{}:
	default: // already woken
	}
}

// keep sends verdicts when they are due, until the channel is gone. It has a timer only
// while something waits.
func (s *settlements) keep(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-s.wake:
		case <-timer.C:
		case <-s.lost:
			return
		case <-ctx.Done():
			return
		}
		s.send(false)
		if next, waits := s.next(); waits {
			timer.Reset(next)
		} else {
			timer.Stop()
		}
	}
}

// next is how long until something that waits is due; waits is false when nothing does, and
// then the next verdict wakes keep.
func (s *settlements) next() (wait time.Duration, waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefixDue, gapDue := s.due()
	switch {
	case s.prefixLen > 0 && s.beyond > 0:
		wait = min(prefixDue, gapDue)
	case s.prefixLen > 0:
		wait = prefixDue
	case s.beyond > 0:
		wait = gapDue
	default:
		s.armed = false
		return 0, false
	}
	return max(wait, 0), true
}

// due is how long the prefix, and what is behind the gap, may still wait. Needs mu.
func (s *settlements) due() (prefix, gap time.Duration) {
	patience := s.run.Delay
	if s.gap() == nil {
		patience = min(patience, linger)
	}
	if !s.gapIsOld {
		gap = s.run.Delay - time.Since(s.gapSince)
	}
	return patience - time.Since(s.prefixSince), gap
}

// flush sends every verdict there is.
func (s *settlements) flush() { s.send(true) }

// send writes what is due, or everything. What cannot be written needs no care: then the
// channel is gone, and its deliveries with it.
func (s *settlements) send(everything bool) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	refused := s.refused
	s.refused = nil
	prefix, multiple := s.takePrefix(everything)
	singles := s.takeBeyond(everything)
	s.mu.Unlock()
	// Refusals go first: an ack of several covers whatever is still open before its tag.
	for _, r := range refused {
		_ = s.sink.Reject(r.tag, r.requeue)
	}
	frames := len(refused) + len(singles)
	if prefix != 0 {
		_ = s.sink.Ack(prefix, multiple)
		frames++
	}
	for _, tag := range singles {
		_ = s.sink.Ack(tag, false)
	}
	if frames > 0 {
		s.counted(frames)
	}
}

// takePrefix removes the prefix from the list when it is due, and returns its last tag, or
// 0 for none, and whether it is more than one. Needs mu.
func (s *settlements) takePrefix(everything bool) (tag uint64, multiple bool) {
	if s.prefixLen == 0 {
		return 0, false
	}
	if wait, _ := s.due(); !everything && s.prefixLen < s.run.Max && wait > 0 {
		return 0, false
	}
	tag, multiple = s.prefixEnd.tag, s.prefixLen > 1
	rest := s.prefixEnd.next
	s.prefixEnd.next = nil // lets go of what was settled
	s.head = rest
	if rest == nil {
		s.tail = nil
	} else {
		rest.prev = nil
	}
	s.prefixEnd, s.prefixLen = nil, 0
	return tag, multiple
}

// takeBeyond removes what is acked behind the gap when the gap is old, and returns the
// tags. Needs mu.
func (s *settlements) takeBeyond(everything bool) []uint64 {
	if s.beyond == 0 {
		return nil
	}
	_, wait := s.due()
	if !everything && wait > 0 {
		return nil
	}
	s.gapIsOld = wait <= 0
	tags := make([]uint64, 0, s.beyond)
	for d := s.gap(); d != nil; {
		next := d.next
		if d.state == acked {
			tags = append(tags, d.tag)
			s.unlink(d)
		}
		d = next
	}
	s.beyond = 0
	return tags
}

// shutdown takes no more deliveries, and returns a channel that is closed when every one
// that was taken is settled.
func (s *settlements) shutdown() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shut {
		s.shut = true
		if s.unsettled == 0 {
			close(s.settledAll)
		}
	}
	return s.settledAll
}

// close ends it all: the channel is gone.
func (s *settlements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.gone = true
	close(s.lost)
	s.head, s.tail, s.prefixEnd, s.refused = nil, nil, nil, nil
	s.prefixLen, s.beyond, s.unsettled = 0, 0, 0
}

// pending is how many were handed out and not settled.
func (s *settlements) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsettled
}
