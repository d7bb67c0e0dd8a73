package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/pusher/internal/hub"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// Directory tells what AMQP cannot: which slots there are, and who is bound to them.
type Directory interface {
	Slots(ctx context.Context) ([]string, error)
	Bound(ctx context.Context, slot string) (keys []string, err error)
}

// PrunerConfig of a Pruner. All fields are required.
type PrunerConfig struct {
	Slot string // the own one
	// Every is how often it looks, Free how long a slot's lock must have been free, and
	// Settle the wait between unbinding and the last look, for nodes that hear of it later.
	Every, Free, Settle time.Duration

	Directory Directory
	// Link takes the locks of the slots that are pruned, SlotLink has the own one.
	Link, SlotLink *broker.Link
	Publisher      *broker.Publisher
	// Sweep undoes the own slot's bindings of clients that are not here.
	Sweep func(clients []hub.Key)
	Log   *zap.Logger
}

// Pruner removes the slots of pushers that are gone for good: their clients' bindings, what
// waits there, and the queue. Of its own slot it undoes what an earlier holder left.
type Pruner struct {
	cfg    PrunerConfig
	free   map[string]time.Time // since when each lock was seen free
	swept  uint64               // the generation of SlotLink that was swept
	cancel context.CancelFunc
	done   chan struct{}
}

// NewPruner makes one that looks once it is started.
func NewPruner(cfg PrunerConfig) *Pruner {
	return &Pruner{cfg: cfg, free: map[string]time.Time{}, cancel: func() {}, done: make(chan struct{})}
}

// Start begins to look.
func (p *Pruner) Start(ctx context.Context) error {
	ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go p.run(ctx)
	return nil
}

// Stop ends it; what it was doing goes on elsewhere.
func (p *Pruner) Stop(context.Context) error {
	p.cancel()
	<-p.done
	return nil
}

func (p *Pruner) run(ctx context.Context) {
	defer close(p.done)
	ticker := time.NewTicker(p.cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := errors.Join(p.sweep(ctx), p.look(ctx)); err != nil && ctx.Err() == nil {
			p.cfg.Log.Warn("slots not looked after; it is tried again", zap.Error(err))
		}
	}
}

// sweep looks at the own bindings, once on each connection.
func (p *Pruner) sweep(ctx context.Context) error {
	status := p.cfg.SlotLink.Status()
	if status.State != broker.Up || status.Generation == p.swept {
		return nil
	}
	bound, err := p.cfg.Directory.Bound(ctx, p.cfg.Slot)
	if err != nil {
		return err
	}
	clients := make([]hub.Key, 0, len(bound))
	for _, key := range bound {
		if tenant, client, ok := topology.ParseReplyKey(key); ok {
			clients = append(clients, hub.Key{Tenant: tenant, Client: client})
		}
	}
	p.cfg.Sweep(clients)
	p.swept = status.Generation
	return nil
}

// look finds the slots that have been free for long enough.
func (p *Pruner) look(ctx context.Context) error {
	slots, err := p.cfg.Directory.Slots(ctx)
	if err != nil {
		return err
	}
	seen := make(map[string]time.Time, len(slots))
	var problems []error
	for _, slot := range slots {
		if slot == p.cfg.Slot {
			continue
		}
		held, err := p.held(ctx, slot)
		if err != nil || held {
			problems = append(problems, err)
			continue
		}
		since, before := p.free[slot]
		if !before {
			since = time.Now()
		}
		if time.Since(since) < p.cfg.Free {
			seen[slot] = since
			continue
		}
		if err := p.prune(ctx, slot); err != nil {
			problems = append(problems, fmt.Errorf("prune slot %s: %w", slot, err))
			seen[slot] = since
		}
	}
	p.free = seen
	return errors.Join(problems...)
}

func (p *Pruner) held(ctx context.Context, slot string) (held bool, err error) {
	err = p.cfg.Link.Do(ctx, func(ctx context.Context, s *broker.Session) error {
		_, _, err := s.Inspect(ctx, topology.SlotLock(slot))
		return err
	})
	switch {
	case errors.Is(err, broker.ErrNotFound):
		return false, nil
	case err == nil, errors.Is(err, broker.ErrLocked):
		return true, nil
	}
	return false, err
}

// prune takes the slot's lock, so that nobody else uses it, and removes the slot.
func (p *Pruner) prune(ctx context.Context, slot string) error {
	return p.cfg.Link.Do(ctx, func(ctx context.Context, s *broker.Session) error {
		err := s.Lock(ctx, topology.Lock(slot))
		if errors.Is(err, broker.ErrLocked) {
			return nil // it is in use again
		}
		if err != nil {
			return err
		}
		return errors.Join(p.remove(ctx, s, slot), s.DeleteQueue(ctx, topology.SlotLock(slot), false, false))
	})
}

// remove unbinds, drains and deletes. Deletion takes what is in a queue with it, so nothing
// may lead there any more, and nothing may be left.
func (p *Pruner) remove(ctx context.Context, s *broker.Session, slot string) error {
	queue := topology.PushQueue(slot)
	for {
		bound, err := p.cfg.Directory.Bound(ctx, slot)
		if err != nil {
			return err
		}
		for _, key := range bound {
			b := topology.Binding{Source: topology.ClientsExchange, Key: key, Destination: queue}
			if err := s.Unbind(ctx, b); err != nil {
				return err
			}
		}
		if err := s.Drain(ctx, queue, p.forward); err != nil {
			return err
		}
		if len(bound) == 0 {
			break
		}
		timer := time.NewTimer(p.cfg.Settle)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
	if err := s.DeleteQueue(ctx, queue, true, true); err != nil {
		return err
	}
	p.cfg.Log.Info("slot pruned", zap.String("slot", slot))
	return nil
}

// forward leads a message of a pruned slot to the mailbox.
func (p *Pruner) forward(ctx context.Context, d *broker.Delivery) error {
	if d.Type == envelope.TypeAnnounce || d.Type == envelope.TypeRelease {
		return nil
	}
	m := d.Message
	m.Headers = make(map[string]any, len(d.Headers))
	for name, value := range d.Headers {
		m.Headers[name] = value
	}
	// The broker would route it to every key in these, too.
	delete(m.Headers, "CC")
	delete(m.Headers, "BCC")
	return p.publish(ctx, m)
}

func (p *Pruner) publish(ctx context.Context, m message.Message) error {
	m.Exchange, m.Mandatory, m.Transient, m.Expiration = topology.MailboxExchange, true, false, 0
	ctx, cancel := context.WithTimeout(ctx, noticeLimit)
	defer cancel()
	return p.cfg.Publisher.Publish(ctx, m)
}
