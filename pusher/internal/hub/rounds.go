package hub

import (
	"context"
	"time"
)

// pass is one round: what has to be bound, and then, when asked, some of what has to be unbound.
func (b *binder) pass(ctx context.Context, table Table, unbind bool) error {
	b.round.Lock()
	defer b.round.Unlock()
	b.setBusy(true)
	defer b.setBusy(false)
	if err := b.bindSome(ctx, table); err != nil || !unbind {
		return err
	}
	return b.unbindSome(ctx, table)
}

func (b *binder) setBusy(busy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy = busy; !busy {
		close(b.changed)
		b.changed = make(chan struct{})
	}
}

func (b *binder) bindSome(ctx context.Context, table Table) error {
	epoch := b.hub.epoch.Load()
	taken := b.take(toBind, bindRun)
	places, keys := taken[:0], make([]Key, 0, len(taken))
	for _, p := range taken {
		p.mu.Lock()
		if p.wanting() && p.epoch != epoch {
			places, keys = append(places, p), append(keys, p.key)
		}
		p.mu.Unlock()
	}
	if len(keys) == 0 {
		return nil
	}
	began := time.Now()
	if err := table.Bind(ctx, keys); err != nil {
		for _, p := range places {
			b.bind(p)
		}
		return err
	}
	took := time.Since(began)
	b.measure(len(keys), took)
	b.hub.cfg.Observer.Bound(len(keys), took)
	now := b.hub.cfg.Now()
	for _, p := range places {
		p.bind(epoch, now)
	}
	return nil
}

// bind notes that the place is bound, if that still holds.
func (p *Place) bind(epoch uint64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch = epoch
	p.readLater(now.Add(p.hub.cfg.Reread))
	if p.bound() && p.ready != nil {
		close(p.ready)
		p.ready = nil
	}
	if !p.wanting() {
		p.hub.binder.unbind(p)
	}
}

func (b *binder) unbindSome(ctx context.Context, table Table) error {
	taken := b.take(toUnbind, unbindRun)
	places, keys := taken[:0], make([]Key, 0, len(taken))
	for _, p := range taken {
		if p.unbind() {
			places, keys = append(places, p), append(keys, p.key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	err := table.Unbind(ctx, keys)
	for _, p := range places {
		p.unbound(err == nil)
	}
	if err == nil {
		b.hub.cfg.Observer.Unbound(len(keys))
	}
	return err
}

// unbind reports whether the binding has to be undone; from then on it is not in force.
func (p *Place) unbind() bool {
	p.mu.Lock()
	if !p.wanting() && p.epoch != 0 {
		p.epoch = 0
		p.mu.Unlock()
		return true
	}
	p.mu.Unlock()
	p.hub.forget(p)
	return false
}

// unbound ends what unbind began.
func (p *Place) unbound(done bool) {
	p.mu.Lock()
	switch {
	case !p.wanting() && !done:
		p.epoch = staleEpoch
		p.hub.binder.unbind(p)
	case p.wanting():
		// Its client came back meanwhile; whoever waits has queued it already.
		p.hub.binder.bind(p)
	}
	p.mu.Unlock()
	p.hub.forget(p)
}

// forget takes a place off the map that has nothing to keep it.
func (h *Hub) forget(p *Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanting() || p.epoch != 0 || p.gone {
		return
	}
	p.gone = true
	h.cfg.Wheel.Clear(&p.timer)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.places, p.key)
}
