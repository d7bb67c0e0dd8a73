package session

import (
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/push"
)

const (
	// relook is how often a lagging session with room asks for its mail, should an announcement be lost.
	relook = time.Second
	// remember is how long acked command ids are known, should the broker or the mailbox
	// give the outcome once more because the ack had not reached them.
	remember = 30 * time.Second
)

// Fire looks after the session's deadlines; the wheel calls it.
func (s *Session) Fire(now time.Time) time.Time {
	s.mu.Lock()
	code, mail := s.look(now)
	next := s.due()
	s.mu.Unlock()
	if code != 0 {
		s.End(code)
		return time.Time{}
	}
	if mail {
		s.cfg.Hub.Mail(s)
	}
	return next
}

// look acts on the deadlines that have come: code closes the session, mail asks for a look
// into the mailbox.
func (s *Session) look(now time.Time) (code push.CloseCode, mail bool) {
	limits := &s.cfg.Limits
	past := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	switch {
	case s.state == ended:
		return 0, false
	case past(s.drainAt):
		return push.Drained, false
	case s.state == greeting && past(s.began.Add(limits.Hello)):
		return push.NoHello, false
	case s.state != open:
		return 0, false
	case past(s.expires):
		return push.TokenExpired, false
	case s.window.Len() > 0 && past(s.ackDue()):
		return push.AckTimeout, false
	case s.pinged && past(s.pingAt.Add(limits.Pong)):
		return push.NoPong, false
	}
	if !s.pinged && past(s.heard.Add(limits.Ping)) {
		s.pinged, s.pingAt = true, now
		s.out.Send(push.Encode(push.TypePing, struct{}{}))
	}
	if s.recent.forget(now) && s.owed {
		// What was left out of the last look may have been copies of these.
		s.owed, mail = false, true
	}
	s.giveUp(now)
	if s.stale(now) && !s.stalled {
		// Another session of the client may take its mail.
		s.stalled, mail = true, true
	}
	if s.lagging && past(s.lookAt) {
		s.lookAt = now.Add(relook)
		mail = mail || s.window.Half()
	}
	return 0, mail
}

// giveUp lets the mailbox have what was not acked in time. It stays in the window: the
// client's ack still counts, and it is not sent a second time.
func (s *Session) giveUp(now time.Time) {
	given := int64(0)
	for e := s.window.OldestLive(); e != nil && now.Sub(e.Sent) >= s.cfg.Limits.Unacked; e = s.window.OldestLive() {
		e.Live = false
		e.Item.Release(Unacked)
		given++
	}
	if given > 0 {
		s.lag(now, given, Unacked)
	}
}

// findEvicted finds out that the process gave up the oldest outcomes to hold fewer.
func (s *Session) findEvicted(now time.Time) {
	given := int64(0)
	for e := s.window.OldestLive(); e != nil && e.Item.wasRefused(); e = s.window.OldestLive() {
		e.Live = false
		e.Item.Release(Crowded)
		given++
	}
	if given > 0 {
		s.lag(now, given, Crowded)
	}
}

// stale reports that the oldest outcome should have been acked by now.
func (s *Session) stale(now time.Time) bool {
	return s.window.Len() > 0 && now.Sub(s.window.Oldest()) >= s.cfg.Limits.Unacked
}

// ackDue is when a session that acks nothing at all is closed.
func (s *Session) ackDue() time.Time {
	since := s.window.Oldest()
	if s.acked.After(since) {
		since = s.acked
	}
	return since.Add(s.cfg.Limits.AckTimeout)
}

// due is the session's next deadline; zero when it has ended. Times that lie in the past
// but were acted upon (a stale window) are left out.
func (s *Session) due() time.Time {
	limits := &s.cfg.Limits
	switch s.state {
	case ended:
		return time.Time{}
	case greeting:
		return earliest(s.began.Add(limits.Hello), s.drainAt)
	case joining:
		// Join has a bound of its own.
		return s.drainAt
	}
	next := s.heard.Add(limits.Ping)
	if s.pinged {
		next = s.pingAt.Add(limits.Pong)
	}
	next = earliest(next, s.expires)
	next = earliest(next, s.drainAt)
	if s.window.Len() > 0 {
		next = earliest(next, s.ackDue())
		if !s.stalled {
			next = earliest(next, s.window.Oldest().Add(limits.Unacked))
		}
		if e := s.window.OldestLive(); e != nil {
			next = earliest(next, e.Sent.Add(limits.Unacked))
		}
	}
	if s.lagging {
		next = earliest(next, s.lookAt)
	}
	return next
}

// earliest of two times, where zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Remembered is how many acks of what came from the mailbox a session surely remembers, with such a window: several windows,
// so that a mailbox is read on while the last acks are being noted.
func Remembered(window int) int { return 4 * window }

// recent holds the command ids that were acked last: a window of them, or as many as Remembered says while the mailbox is read.
type recent struct {
	ids  []uuid.UUID
	last time.Time
	mail time.Time // the last one that came from the mailbox
}

func (r *recent) add(now time.Time, id uuid.UUID, window int, live bool) {
	if !live {
		r.mail = now
	}
	limit := window
	if now.Sub(r.mail) < remember {
		limit = Remembered(window)
	}
	if len(r.ids) >= 2*limit {
		r.ids = r.ids[:copy(r.ids, r.ids[len(r.ids)-limit:])]
	}
	r.ids = append(r.ids, id)
	r.last = now
}

func (r *recent) has(id uuid.UUID) bool {
	for i := range r.ids {
		if r.ids[i] == id {
			return true
		}
	}
	return false
}

// forget frees the memory of an idle session, and reports that it did.
func (r *recent) forget(now time.Time) bool {
	if len(r.ids) == 0 || now.Sub(r.last) < remember {
		return false
	}
	r.ids = nil
	return true
}
