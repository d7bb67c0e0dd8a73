package broker

import (
	"context"
	"time"
)

// linger is how long acks wait for company when nothing is left open. It ends sooner when
// a run is full.
const linger = 2 * time.Millisecond

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
