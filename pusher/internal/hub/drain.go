package hub

import (
	"context"
	"time"

	"github.com/cupline/cupline/schema/push"
)

// Drain sends every client elsewhere, each at a moment of its own: as fast as bindings were
// measured to be made, for that is what the others have to do, and over DrainLimit at most.
// Then it undoes all bindings. When ctx ends first the rest is closed at once.
func (h *Hub) Drain(ctx context.Context) error {
	h.draining.Store(true)
	sessions := h.allSessions()
	gap := time.Duration(float64(time.Second) / h.binder.measured())
	if n := len(sessions); n > 0 {
		gap = min(gap, h.cfg.DrainLimit/time.Duration(n))
	}
	for i, s := range sessions {
		in := time.Duration(i) * gap
		s.Drain(in, in+h.cfg.DrainGrace)
	}
	if err := h.empty(ctx); err != nil {
		closeSessions(h.allSessions(), push.Drained)
	}
	for _, p := range h.allPlaces() {
		p.mu.Lock()
		p.keepUntil = time.Time{}
		h.binder.unbind(p)
		p.mu.Unlock()
	}
	if !h.binder.isUp() {
		// Without a broker there is nothing to undo; the others unbind on miss.
		return nil
	}
	return h.binder.settled(ctx)
}

// empty returns when no session is left.
func (h *Hub) empty(ctx context.Context) error {
	for {
		h.mu.RLock()
		left, emptied := h.sessions, h.emptied
		h.mu.RUnlock()
		if left == 0 {
			return nil
		}
		select {
		case <-emptied:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
