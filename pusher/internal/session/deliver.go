package session

import (
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/push"
)

// Offer sends a live outcome, or says why not.
func (s *Session) Offer(now time.Time, it *Item) Cause {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return NotConnected
	}
	if s.recent.has(it.ID) {
		// The client has acked it; the broker never heard of that.
		it.ack(true)
		return Taken
	}
	if e := s.window.Find(it.ID); e != nil {
		return s.again(e, it)
	}
	s.findEvicted(now)
	if s.lagging {
		return Lagging
	}
	if !s.window.Fits(it.Size()) {
		s.lag(now, 1, WindowFull)
		return WindowFull
	}
	if it.hold() {
		s.push(now, it, true)
	}
	return Taken
}

// again takes another copy of an outcome that was sent and not acked.
func (s *Session) again(e *Entry, it *Item) Cause {
	switch {
	case e.Live && e.Item.lost():
		// The broker took the first delivery back with its link; this one takes its place.
		if it.hold() {
			e.Item.Release(SocketLost)
			e.Item = it
		}
	case e.Live && !e.Item.wasRefused(), e.Item.live == nil:
		// The first copy waits for the ack, or lies in the mailbox.
		it.cover()
	default:
		// Given up: that copy may not have reached the mailbox.
		return Lagging
	}
	return Taken
}

// Fill sends outcomes from the mailbox as far as the window goes, and returns how many.
// mayStay is the most that can be left in the mailbox, surelyStay the least; with any that
// surely are, full is true and the session lags.
func (s *Session) Fill(now time.Time, items []*Item, mayStay, surelyStay int64) (sent int, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return 0, false
	}
	over := 0
	for _, it := range items {
		if s.recent.has(it.ID) || s.window.Find(it.ID) != nil {
			continue
		}
		if !s.window.Fits(it.Size()) {
			over++
			continue
		}
		s.push(now, it, false)
		sent++
	}
	s.expect(over)
	mayStay, surelyStay = mayStay+int64(over), surelyStay+int64(over)
	if full = surelyStay > 0; full {
		s.lag(now, surelyStay, WindowFull)
	}
	if mayStay > 0 {
		// Copies of what is in flight, perhaps; or more than was fetched.
		s.owed, s.announced = true, now
	}
	return sent, full
}

// expect learns from a look whose answer had so many outcomes more than there was room for: what a quick client acks while
// the mailbox is being read is asked for in the same look next time.
func (s *Session) expect(over int) {
	room, _ := s.window.Room()
	s.ahead = max(0, max(s.ahead, room)-over)
}

func (s *Session) push(now time.Time, it *Item, live bool) {
	o := it.Outcome
	o.Source = push.SourceMailbox
	if live {
		o.Source = push.SourceLive
	}
	o.Seq = s.window.Push(Entry{Item: it, Live: live, Sent: now})
	s.out.Send(o.Append(make([]byte, 0, it.Size())))
	s.cfg.Observer.Pushed(o.Source)
	if s.window.Len() == 1 {
		s.cfg.Wheel.Set(&s.timer, s, s.due())
	}
}

// ack settles everything up to and including seq.
func (s *Session) ack(seq uint64) (settled int) {
	s.mu.Lock()
	now := s.cfg.Now()
	before := s.window.Len()
	err := s.window.Ack(seq, func(e Entry) { s.settle(now, e) })
	if settled = before - s.window.Len(); settled > 0 {
		s.acked = now
	}
	s.stalled = s.stalled && s.stale(now)
	mail := (s.lagging || s.owed) && s.window.Half()
	s.owed = s.owed && !mail
	s.mu.Unlock()
	switch {
	case err != nil:
		s.End(push.BadFrame)
	case mail:
		s.cfg.Hub.Mail(s)
	}
	return settled
}

func (s *Session) settle(now time.Time, e Entry) {
	source := push.SourceMailbox
	switch {
	case e.Live:
		source = push.SourceLive
		doubtful := s.lagging || e.Item.Redelivered || !s.announced.Before(e.Sent) || e.Item.lost()
		if !e.Item.ack(doubtful) {
			s.cfg.Receipts.Acked(e.Item)
		}
	default:
		s.cfg.Receipts.Acked(e.Item)
	}
	s.recent.add(now, e.Item.ID, s.cfg.Limits.Window, e.Live)
	s.cfg.Observer.Acked(e.Item, source)
}

// Announced notes that an outcome was stored in the client's mailbox.
func (s *Session) Announced(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announced = now
}

// InFlight is what a look into the mailbox has to leave out for a session.
type InFlight struct {
	// IDs were sent and not acked, or acked a moment ago.
	IDs []uuid.UUID
	// Stored of them lie in the mailbox, or are on their way there; Recent were acked.
	Stored, Recent int64
	// Outcomes and Bytes may be sent, or will be by the time they are fetched; Outcomes is 0 unless half of the window
	// is free. The session then asks for its mail once it is.
	Outcomes, Bytes int
	// Open sessions take mail. Stalled ones have not acked in time: another session of
	// the client may have what they hold.
	Open, Stalled bool
}

// InFlight tells what the session has in flight; IDs are appended to ids.
func (s *Session) InFlight(ids []uuid.UUID) InFlight {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := InFlight{IDs: ids, Open: s.state == open, Stalled: s.stalled}
	for _, e := range s.window.entries {
		f.IDs = append(f.IDs, e.Item.ID)
		if !e.Live {
			f.Stored++
		}
	}
	f.IDs = append(f.IDs, s.recent.ids...)
	f.Recent = int64(len(s.recent.ids))
	if s.window.Half() {
		f.Outcomes, f.Bytes = s.window.Room()
		if s.ahead > 0 {
			f.Outcomes, f.Bytes = min(f.Outcomes+s.ahead, s.window.MaxOutcomes), s.window.MaxBytes
		}
	} else {
		s.owed = true
	}
	return f
}

// CaughtUp says that a look into the mailbox found nothing more. A lagging session with
// room goes live again.
func (s *Session) CaughtUp(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open || !s.lagging || !s.window.Half() || s.stalled || now.Before(s.lagSince.Add(s.cfg.Limits.Dwell)) {
		return
	}
	s.lagging = false
	s.out.Send(push.Encode(push.TypeLag, push.Lag{}))
}

// lag sends outcomes through the mailbox from now on.
func (s *Session) lag(now time.Time, waiting int64, cause Cause) {
	if s.lagging {
		return
	}
	s.lagging, s.lagSince = true, now
	s.lookAt = now.Add(s.cfg.Limits.Dwell)
	s.out.Send(push.Encode(push.TypeLag, push.Lag{On: true, Waiting: waiting}))
	s.cfg.Observer.LagEntered(cause)
	s.cfg.Wheel.Set(&s.timer, s, s.lookAt)
}
