package hub

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// bindRun is the most bindings of one round, which are one round trip or two.
	bindRun = 1024
	// unbindRun is the most unbindings between two rounds of bindings: each is a round trip
	// of its own, and clients wait for bindings only.
	unbindRun = 64
	// bindRetry is the wait after a round that failed while the broker was there.
	bindRetry = 200 * time.Millisecond
	// Until a rate was measured, draining reckons with a modest one, in bindings a second.
	firstRate = 500
	// rateRun is the least round from which a rate is measured.
	rateRun = 8
)

// The binder's two lists.
const (
	toBind = iota
	toUnbind
)

// binder is the one owner of all binding: it gathers what is to be bound and unbound, and
// decides at the moment of sending, since a client may have gone, or come back, meanwhile.
type binder struct {
	hub    *Hub
	wake   chan struct{} // holds one
	cancel context.CancelFunc
	done   chan struct{}

	round sync.Mutex // held during one round with the broker

	mu      sync.Mutex // guards the rest
	lists   [2][]*Place
	up      bool
	busy    bool
	rate    float64       // bindings a second, measured
	changed chan struct{} // closed and replaced after each round
}

func newBinder(h *Hub) *binder {
	return &binder{
		hub: h, wake: make(chan struct{}, 1), cancel: func() {}, done: make(chan struct{}),
		changed: make(chan struct{}), rate: firstRate,
	}
}

func (b *binder) start(ctx context.Context) {
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go b.run(ctx)
}

func (b *binder) stop(ctx context.Context) error {
	b.cancel()
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *binder) run(ctx context.Context) {
	defer close(b.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		for b.isUp() && b.left(toBind, toUnbind) {
			if err := b.pass(ctx, b.hub.cfg.Table, true); err != nil {
				if !sleep(ctx, bindRetry) {
					return
				}
				b.hub.cfg.Log.Warn("binding failed; it is tried again", zap.Error(err))
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *binder) bind(p *Place)   { b.add(p, toBind) }
func (b *binder) unbind(p *Place) { b.add(p, toUnbind) }

func (b *binder) add(p *Place, list int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !p.queued[list] {
		p.queued[list] = true
		b.lists[list] = append(b.lists[list], p)
	}
	b.kick()
}

func (b *binder) kick() {
	select {
	case b.wake <- struct{}{}:
	default: // already awake
	}
}

func (b *binder) setUp(up bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up = up
	if up {
		b.kick()
	}
}

func (b *binder) isUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.up
}

// left reports whether one of these lists has something, or is being worked on.
func (b *binder) left(lists ...int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, list := range lists {
		if len(b.lists[list]) > 0 {
			return true
		}
	}
	return false
}

// take removes up to n places from a list.
func (b *binder) take(list, n int) []*Place {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, len(b.lists[list]))
	taken := b.lists[list][:n:n]
	if b.lists[list] = b.lists[list][n:]; len(b.lists[list]) == 0 {
		b.lists[list] = nil
	}
	for _, p := range taken {
		p.queued[list] = false
	}
	return taken
}

// wait returns once the client is bound.
func (b *binder) wait(ctx context.Context, p *Place) error {
	for {
		p.mu.Lock()
		if p.bound() {
			release := p.elsewhere
			p.elsewhere = ""
			p.mu.Unlock()
			if release != "" {
				// Bound here first: nothing is in between.
				b.hub.cfg.Notices.Release(p.key, release)
			}
			return nil
		}
		if p.ready == nil {
			p.ready = make(chan struct{})
		}
		ready := p.ready
		p.mu.Unlock()
		b.bind(p)
		select {
		case <-ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// measure keeps a moving average of how fast the broker binds.
func (b *binder) measure(n int, took time.Duration) {
	if n < rateRun || took <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate += 0.3 * (float64(n)/took.Seconds() - b.rate)
}

func (b *binder) measured() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rate
}

// settled returns when nothing is left to bind or unbind.
func (b *binder) settled(ctx context.Context) error {
	for {
		b.mu.Lock()
		idle, changed := !b.busy && len(b.lists[toBind])+len(b.lists[toUnbind]) == 0, b.changed
		b.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
