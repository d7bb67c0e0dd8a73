package broker

import (
	"sync"
	"time"
)

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
