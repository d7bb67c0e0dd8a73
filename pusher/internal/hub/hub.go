// Package hub knows who is connected here: it keeps a place for each client, hands
// outcomes to the client's sessions, and owns the client's binding in the broker's table. It
// knows no sockets, no SQL and no AMQP; a table that binds hash slots instead of
// clients can take the place of today's.
//
// Locks are taken in the order Place, Session, Item; those of the map, the binder and the
// wheel come last and take no other.
package hub

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/pusher/internal/wheel"
)

// Key names a client.
type Key struct {
	Tenant string
	Client string
}

// Table is the broker's table of who is connected where.
type Table interface {
	// Bind returns when the broker leads what is meant for these clients here.
	Bind(ctx context.Context, clients []Key) error
	// Unbind returns when it does no longer. Who is not bound is no error.
	Unbind(ctx context.Context, clients []Key) error
}

// Notices tell other pushers.
type Notices interface {
	// Release asks whoever has that session of a client to let go of it. It does not wait
	// for an answer; a release that is lost costs a place that is kept too long.
	Release(client Key, sessionID string)
}

// Reader reads mailboxes into places, see Place.NextRead.
type Reader interface {
	// Read queues the place, which is not queued already. It does not block.
	Read(p *Place)
}

// Observer counts; it never blocks.
type Observer interface {
	Sessions(change int)
	// Bound tells of one round of so many bindings.
	Bound(clients int, took time.Duration)
	Unbound(clients int)
	// BindWaited is how long a client waited for its binding.
	BindWaited(d time.Duration)
}

// Config of a hub. All fields are required.
type Config struct {
	// MaxSessions of one client.
	MaxSessions int
	// MaxTenant is the most sessions of one tenant; 0 is no limit.
	MaxTenant int
	// Keep is how long a client stays bound after its last socket was lost.
	Keep time.Duration
	// Reread is how long after a binding the mailbox is read again: on clusters a binding
	// may be in force on another node a moment after it was confirmed.
	Reread time.Duration
	// RereadAfter a failure to read the mailbox.
	RereadAfter time.Duration
	// Patience is how long sessions are kept without a broker; then they are told to go elsewhere.
	Patience time.Duration
	// DrainLimit is the most time that sending clients elsewhere is spread over, and
	// DrainGrace what each one has after its moment before it is closed.
	DrainLimit, DrainGrace time.Duration

	Table    Table
	Notices  Notices
	Reader   Reader
	Observer Observer
	Wheel    *wheel.Wheel
	Now      func() time.Time
	Log      *zap.Logger
}

// Hub is safe for concurrent use.
type Hub struct {
	tenants  tenants
	cfg      Config
	binder   *binder
	patience patience
	draining atomic.Bool
	// epoch counts connections to the broker, and their ends: a binding is known to be in
	// force only within the epoch it was made in. It begins above staleEpoch.
	epoch atomic.Uint64

	mu       sync.RWMutex // guards the rest
	places   map[Key]*Place
	sessions int
	emptied  chan struct{} // closed and replaced when the last session leaves
}

// staleEpoch marks a binding of which it is only known that it once was.
const staleEpoch = 1

// New makes a hub with nobody connected.
func New(cfg Config) *Hub {
	h := &Hub{cfg: cfg, places: map[Key]*Place{}, emptied: make(chan struct{})}
	h.tenants.most = cfg.MaxTenant
	h.epoch.Store(staleEpoch + 1)
	h.binder = newBinder(h)
	h.patience.hub = h
	return h
}

// Start begins to bind.
func (h *Hub) Start(ctx context.Context) error {
	h.binder.start(ctx)
	return nil
}

// Stop ends binding. Sessions that are left are not touched.
func (h *Hub) Stop(ctx context.Context) error { return h.binder.stop(ctx) }

// Join takes a session in and returns once its client is bound.
func (h *Hub) Join(ctx context.Context, s *session.Session, old string) error {
	if h.draining.Load() {
		return session.ErrDraining
	}
	who := s.Who()
	p, here, err := h.enter(Key{who.Tenant, who.Client}, s, old)
	if err != nil {
		return err
	}
	if here != nil {
		here.LetGo()
	}
	began := h.cfg.Now()
	if err := h.binder.wait(ctx, p); err != nil {
		h.Leave(s, false)
		return fmt.Errorf("%w: %w", session.ErrNotBound, err)
	}
	h.cfg.Observer.BindWaited(h.cfg.Now().Sub(began))
	if h.draining.Load() {
		h.Leave(s, false)
		return session.ErrDraining
	}
	return nil
}

// enter adds a session to its client's place. If the old session is here as well it is
// returned; if it is elsewhere, that pusher is asked to let go of it.
func (h *Hub) enter(key Key, s *session.Session, old string) (p *Place, here *session.Session, err error) {
	if h.tenants.full(key.Tenant) && h.find(key) == nil {
		return nil, nil, session.ErrTooMany // and no place is made for it
	}
	for {
		p = h.place(key)
		p.mu.Lock()
		if !p.gone {
			break
		}
		p.mu.Unlock()
	}
	defer p.mu.Unlock()
	if here = p.session(old); here == nil && len(p.sessions) >= h.cfg.MaxSessions {
		return nil, nil, session.ErrTooMany
	}
	if !h.tenants.enter(key.Tenant, here != nil) {
		return nil, nil, session.ErrTooMany
	}
	p.sessions = append(p.sessions, s)
	p.elsewhere = ""
	if here == nil && old != "" && old != p.lost {
		p.elsewhere = old
	}
	p.keepUntil, p.lost = time.Time{}, ""
	h.count(1)
	return p, here, nil
}

// Leave takes a session out. With the last one of a client, its binding is kept for a
// while when keep is true, and undone otherwise. It does nothing for one that is not in.
func (h *Hub) Leave(s *session.Session, keep bool) {
	who := s.Who()
	p := h.find(Key{who.Tenant, who.Client})
	if p == nil {
		return
	}
	p.mu.Lock()
	left := p.remove(s)
	more := len(p.sessions) > 0
	if left && !more {
		p.lost = s.ID()
		if keep && !h.draining.Load() {
			p.keepUntil = h.cfg.Now().Add(h.cfg.Keep)
			h.cfg.Wheel.Set(&p.timer, p, p.keepUntil)
		} else {
			h.binder.unbind(p)
		}
	}
	p.mu.Unlock()
	if !left {
		return
	}
	h.count(-1)
	h.tenants.leave(who.Tenant)
	if more {
		// What it had read from the mailbox is for the others now.
		h.read(p)
	}
}

// Mail asks for a look into the mailbox of the session's client.
func (h *Hub) Mail(s *session.Session) {
	who := s.Who()
	if p := h.find(Key{who.Tenant, who.Client}); p != nil {
		h.read(p)
	}
}

// Deliver hands a live outcome, which the caller holds, to all sessions of its client, and
// lets go of it: what nobody takes is refused.
func (h *Hub) Deliver(it *session.Item) {
	p := h.known(Key{it.Tenant, it.Client})
	if p == nil {
		it.Release(session.UnknownClient)
		return
	}
	it.Release(p.offer(h.cfg.Now(), it))
}

// Announced says that something was stored in a client's mailbox.
func (h *Hub) Announced(key Key) {
	p := h.known(key)
	if p == nil {
		return
	}
	now := h.cfg.Now()
	p.mu.Lock()
	for _, s := range p.sessions {
		s.Announced(now)
	}
	p.mu.Unlock()
	h.read(p)
}

// Released says that a client has come back on another pusher.
func (h *Hub) Released(key Key, sessionID string) {
	p := h.known(key)
	if p == nil {
		return
	}
	p.mu.Lock()
	s := p.session(sessionID)
	if len(p.sessions) == 0 {
		p.keepUntil = time.Time{}
		h.binder.unbind(p)
	}
	p.mu.Unlock()
	if s != nil {
		s.LetGo()
	}
}

// Revoked ends the client's sessions that stand on a key.
func (h *Hub) Revoked(tenant, client, keyID string) {
	for _, s := range h.sessionsOf(Key{tenant, client}) {
		s.Revoked(tenant, keyID)
	}
}

// Sweep undoes the bindings of those clients that are not here: an earlier holder of the
// slot left them.
func (h *Hub) Sweep(clients []Key) {
	for _, key := range clients {
		h.known(key)
	}
}
