package hub

import (
	"context"
	"time"

	"github.com/cupline/cupline/pusher/internal/wheel"
	"github.com/cupline/cupline/schema/push"
)

// Down says that the broker is away. Sessions stay; what the broker gives again finds them.
// Past Patience they are sent elsewhere.
func (h *Hub) Down() {
	h.binder.setUp(false)
	h.epoch.Add(1)
	h.cfg.Wheel.Set(&h.patience.timer, &h.patience, h.cfg.Now().Add(h.cfg.Patience))
}

// Up binds every client of this hub anew, through a connection that is fresh, and returns
// when all of it is in force.
func (h *Hub) Up(ctx context.Context, table Table) error {
	h.epoch.Add(1)
	for _, p := range h.allPlaces() {
		p.mu.Lock()
		if p.wanting() {
			h.binder.bind(p)
		}
		p.mu.Unlock()
	}
	for h.binder.left(toBind) {
		if err := h.binder.pass(ctx, table, false); err != nil {
			return err
		}
	}
	h.cfg.Wheel.Clear(&h.patience.timer)
	h.binder.setUp(true)
	return nil
}

const (
	// closeRun sessions are closed at a time when the broker stays away, so that the
	// closing does not take the machine.
	closeRun   = 500
	closePause = 100 * time.Millisecond
)

// patience closes the sessions when the broker stays away.
type patience struct {
	hub   *Hub
	timer wheel.Timer
}

// Fire closes some of them; the wheel calls it.
func (p *patience) Fire(now time.Time) time.Time {
	if p.hub.binder.isUp() {
		return time.Time{}
	}
	sessions := p.hub.allSessions()
	closeSessions(sessions[:min(len(sessions), closeRun)], push.BrokerAway)
	return now.Add(closePause)
}
