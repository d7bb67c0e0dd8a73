package hub

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/pusher/internal/wheel"
)

// Place is where one client's sessions meet what is meant for it.
type Place struct {
	hub   *Hub
	key   Key
	timer wheel.Timer

	mu       sync.Mutex // guards the rest
	gone     bool       // it was taken off the map; a new one takes its place
	sessions []*session.Session
	// keepUntil is how long it stays bound without a session; zero when it has one, or is to go.
	keepUntil time.Time
	// lost is the last session that left; elsewhere the one that another pusher may have.
	lost, elsewhere string
	// epoch in which it was bound; 0 is never, or not any more.
	epoch uint64
	ready chan struct{} // closed when it is bound; nil when nobody waits

	// wanted says that the mailbox has to be looked into, reading that somebody is at it.
	wanted, reading bool
	readAt          time.Time // when to look again; zero is not
	reader          *session.Session
	// from is a seq of the mailbox below which all was acked at some look; 0 before the first.
	from int64

	queued [2]bool // in the binder's lists; guarded by the binder
}

// Key of the client.
func (p *Place) Key() Key { return p.key }

// wanting reports that the client has to be bound. Needs mu.
func (p *Place) wanting() bool { return len(p.sessions) > 0 || !p.keepUntil.IsZero() }

// bound reports that it surely is. Needs mu.
func (p *Place) bound() bool { return p.epoch == p.hub.epoch.Load() }

// session of that id, or nil. Needs mu.
func (p *Place) session(id string) *session.Session {
	if id == "" {
		return nil
	}
	for _, s := range p.sessions {
		if s.ID() == id {
			return s
		}
	}
	return nil
}

// remove reports whether s was there. Needs mu.
func (p *Place) remove(s *session.Session) bool {
	i := slices.Index(p.sessions, s)
	if i < 0 {
		return false
	}
	p.sessions = slices.Delete(p.sessions, i, i+1)
	if p.reader == s {
		p.reader = nil
	}
	return true
}

// offer hands a live outcome to every session, and says why if none took it.
func (p *Place) offer(now time.Time, it *session.Item) session.Cause {
	p.mu.Lock()
	defer p.mu.Unlock()
	cause := session.NotConnected
	for _, s := range p.sessions {
		if c := s.Offer(now, it); c != session.Taken {
			cause = c
		}
	}
	return cause
}

// Fire looks after the place's deadlines; the wheel calls it.
func (p *Place) Fire(now time.Time) time.Time {
	p.mu.Lock()
	read := !p.readAt.IsZero() && !now.Before(p.readAt)
	if read {
		p.readAt = time.Time{}
	}
	if !p.keepUntil.IsZero() && !now.Before(p.keepUntil) {
		p.keepUntil = time.Time{}
		p.hub.binder.unbind(p)
	}
	next := p.readAt
	if next.IsZero() || !p.keepUntil.IsZero() && p.keepUntil.Before(next) {
		next = p.keepUntil
	}
	p.mu.Unlock()
	if read {
		p.hub.read(p)
	}
	return next
}

// read asks for a look into the mailbox.
func (h *Hub) read(p *Place) {
	p.mu.Lock()
	ask := len(p.sessions) > 0 && !p.reading
	p.wanted = true
	p.reading = p.reading || ask
	p.mu.Unlock()
	if ask {
		h.cfg.Reader.Read(p)
	}
}

// readLater asks for a look into the mailbox at that time. Needs mu.
func (p *Place) readLater(at time.Time) {
	if p.readAt.IsZero() || at.Before(p.readAt) {
		p.readAt = at
		p.hub.cfg.Wheel.Set(&p.timer, p, at)
	}
}

// Read is one look into a mailbox: begin at the seq From, leave out Exclude, and fetch up to Outcomes and Bytes.
type Read struct {
	Key             Key
	From            int64
	Exclude         []uuid.UUID
	Outcomes, Bytes int

	session *session.Session
	// Of the excluded, stored are waiting in the mailbox, or about to; recent were acked,
	// which the mailbox may or may not know by now.
	stored, recent int64
}

// NextRead says what to read for a place that is queued. When ok is false there is nothing
// to do, and the place is no longer queued.
func (p *Place) NextRead() (r Read, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = false
	r = Read{Key: p.key, From: p.from}
	var chosen session.InFlight
	for _, s := range p.sessions {
		// Ids are gathered as we go; those of a stalled session only when it is the one to read.
		f := s.InFlight(r.Exclude)
		better := f.Open && f.Outcomes > 0 &&
			(r.session == nil || chosen.Stalled && !f.Stalled || s == p.reader && chosen.Stalled == f.Stalled)
		if better {
			r.session, chosen = s, f
		}
		if !f.Stalled || len(p.sessions) == 1 {
			r.leaveOut(f)
		}
	}
	if r.session == nil {
		p.reading = false
		return Read{}, false
	}
	if chosen.Stalled && len(p.sessions) > 1 {
		r.leaveOut(r.session.InFlight(r.Exclude))
	}
	p.reader = r.session
	r.Outcomes, r.Bytes = chosen.Outcomes, chosen.Bytes
	return r, true
}

func (r *Read) leaveOut(f session.InFlight) {
	r.Exclude, r.stored, r.recent = f.IDs, r.stored+f.Stored, r.recent+f.Recent
}

// Filled hands over what a read found, how many wait in all, and the oldest seq of those from the read's own on; 0 when there was none. It
// reports whether to read again; if not, the place is no longer queued.
func (p *Place) Filled(r Read, items []*session.Item, waiting, oldest int64) (again bool) {
	now := p.hub.cfg.Now()
	more := waiting - int64(len(items)) - r.stored
	sent, full := r.session.Fill(now, items, more, more-r.recent)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !full {
		for _, s := range p.sessions {
			s.CaughtUp(now)
		}
	}
	again = p.wanted || full && sent > 0
	switch {
	case oldest > 0:
		p.from = oldest
	case waiting > 0 && r.From > 0:
		// A database that was restored counts seqs anew: what waits is below.
		p.from, again = 0, true
	}
	p.reading = again
	return again
}

// ReadFailed says that the mailbox cannot be read now. It is tried again after a while;
// until then sessions that waited for it are live, which needs no database.
func (p *Place) ReadFailed() {
	now := p.hub.cfg.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	for _, s := range p.sessions {
		s.CaughtUp(now)
	}
	if len(p.sessions) > 0 {
		p.readLater(now.Add(p.hub.cfg.RereadAfter))
	}
}
