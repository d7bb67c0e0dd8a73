package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/pusher/internal/hub"
	"github.com/cupline/cupline/schema/topology"
)

// Bindings is what a slot keeps in force; the hub.
type Bindings interface {
	// Up binds everything through a fresh connection.
	Up(ctx context.Context, table hub.Table) error
	// Down says that the connection is gone.
	Down()
}

// lockEvery is how often a slot that another pusher holds is tried.
const lockEvery = 500 * time.Millisecond

// Slot is this pusher's place at the broker: a lock, a queue, and the bindings that lead there.
// All three belong to one connection, since whoever has the lock owns the rest.
type Slot struct {
	name     string
	bindings Bindings
	log      *zap.Logger
	watching sync.WaitGroup // for the end of each connection

	mu     sync.Mutex // guards waited
	waited time.Time  // since when another pusher is seen to hold the slot; zero when none is
}

// NewSlot registers the steps that take the slot on each connect of link: lock, declare,
// bind, check. Consumers are to be registered after it.
func NewSlot(link *broker.Link, name string, bindings Bindings, log *zap.Logger) *Slot {
	s := &Slot{name: name, bindings: bindings, log: log.With(zap.String("slot", name))}
	link.OnUp("lock the slot", s.lock)
	link.OnUp("declare the queue", s.declare)
	link.OnUp("bind the clients", s.bind)
	return s
}

// Ready is nil unless another pusher holds the slot.
func (s *Slot) Ready(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waited.IsZero() {
		return nil
	}
	return fmt.Errorf("slot %s is held by another pusher since %s or longer; waiting for it to end",
		s.name, s.waited.UTC().Format(time.RFC3339))
}

// Wait returns when the end of the last connection was told on; call it once link is stopped.
func (s *Slot) Wait() { s.watching.Wait() }

func (s *Slot) lock(ctx context.Context, session *broker.Session) error {
	for {
		err := session.Lock(ctx, topology.Lock(s.name))
		if !errors.Is(err, broker.ErrLocked) {
			s.setWaited(false)
			return err
		}
		s.setWaited(true)
		timer := time.NewTimer(lockEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

func (s *Slot) setWaited(waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !waits:
		s.waited = time.Time{}
	case s.waited.IsZero():
		s.waited = time.Now()
		s.log.Warn("the slot is held by another pusher; waiting")
	}
}

func (s *Slot) declare(ctx context.Context, session *broker.Session) error {
	drifts, err := session.Declare(ctx, topology.Push(s.name))
	for _, d := range drifts {
		s.log.Warn("the broker has it with other arguments; see `cupline topology`", zap.Stringer("drift", d))
	}
	return err
}

// bind puts every binding in force, and looks whether they still are when it is done: the
// exchange they hang on may vanish with the last of a cluster's nodes.
func (s *Slot) bind(ctx context.Context, session *broker.Session) error {
	// The end of the last connection has to be told first.
	s.watching.Wait()
	if err := s.bindings.Up(ctx, sessionTable{session, s.name}); err != nil {
		return err
	}
	s.watching.Go(func() {
		<-session.Lost()
		s.bindings.Down()
	})
	switch there, err := session.ExchangeExists(ctx, topology.ClientsExchange); {
	case err != nil:
		return err
	case !there:
		return fmt.Errorf("exchange %s is gone again", topology.ClientsExchange)
	}
	return nil
}

// sessionTable binds through one connection.
type sessionTable struct {
	session *broker.Session
	slot    string
}

func (t sessionTable) Bind(ctx context.Context, clients []hub.Key) error {
	return t.session.Bind(ctx, bindings(t.slot, clients)...)
}

func (t sessionTable) Unbind(ctx context.Context, clients []hub.Key) error {
	return t.session.Unbind(ctx, bindings(t.slot, clients)...)
}

// tableLimit bounds one round of binding; it is far above what one takes.
const tableLimit = 30 * time.Second

// Table binds through whatever connection the link has. It implements hub.Table.
type Table struct {
	Link *broker.Link
	Slot string
}

// Bind leads what is meant for these clients to the slot's queue.
func (t Table) Bind(ctx context.Context, clients []hub.Key) error {
	return t.do(ctx, func(ctx context.Context, table sessionTable) error { return table.Bind(ctx, clients) })
}

// Unbind undoes that.
func (t Table) Unbind(ctx context.Context, clients []hub.Key) error {
	return t.do(ctx, func(ctx context.Context, table sessionTable) error { return table.Unbind(ctx, clients) })
}

func (t Table) do(ctx context.Context, f func(context.Context, sessionTable) error) error {
	ctx, cancel := context.WithTimeout(ctx, tableLimit)
	defer cancel()
	return t.Link.Do(ctx, func(ctx context.Context, session *broker.Session) error {
		return f(ctx, sessionTable{session, t.Slot})
	})
}

func bindings(slot string, clients []hub.Key) []topology.Binding {
	all := make([]topology.Binding, len(clients))
	for i, c := range clients {
		all[i] = topology.Client(slot, c.Tenant, c.Client)
	}
	return all
}
