package hub

import (
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/schema/push"
)

func (h *Hub) sessionsOf(key Key) []*session.Session {
	p := h.find(key)
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*session.Session(nil), p.sessions...)
}

// known is find for a message that came for the client: its binding is undone when there is
// no such client here.
func (h *Hub) known(key Key) *Place {
	if p := h.find(key); p != nil {
		return p
	}
	p := h.place(key)
	p.mu.Lock()
	if len(p.sessions) == 0 && p.epoch == 0 && !p.gone {
		p.epoch = staleEpoch
		h.binder.unbind(p)
	}
	p.mu.Unlock()
	return nil
}

func (h *Hub) find(key Key) *Place {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.places[key]
}

// place finds the client's place, or makes it.
func (h *Hub) place(key Key) *Place {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.places[key]
	if p == nil {
		p = &Place{hub: h, key: key}
		h.places[key] = p
	}
	return p
}

func (h *Hub) count(change int) {
	h.cfg.Observer.Sessions(change)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions += change
	if h.sessions == 0 {
		close(h.emptied)
		h.emptied = make(chan struct{})
	}
}

// closeSessions ends those sessions with a code.
func closeSessions(sessions []*session.Session, code push.CloseCode) {
	for _, s := range sessions {
		s.End(code)
	}
}

func (h *Hub) allPlaces() []*Place {
	h.mu.RLock()
	defer h.mu.RUnlock()
	places := make([]*Place, 0, len(h.places))
	for _, p := range h.places {
		places = append(places, p)
	}
	return places
}

func (h *Hub) allSessions() []*session.Session {
	var all []*session.Session
	for _, p := range h.allPlaces() {
		p.mu.Lock()
		all = append(all, p.sessions...)
		p.mu.Unlock()
	}
	return all
}
