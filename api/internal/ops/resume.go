package ops

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/store"
)

const (
	// resumeEvery is how often redrives that somebody left unfinished are looked for.
	resumeEvery = 5 * time.Second
	// resumeBatch is the most that one look takes up: together they fit into one lease.
	resumeBatch = 5
)

// Resumer finishes what crashed processes, and publishes in doubt, have left: it publishes the very
// same command again, until the broker has confirmed it. Any number of processes may run one.
type Resumer struct {
	desk *Desk
	stop context.CancelFunc
	done chan struct{}
}

// NewResumer makes one for a desk.
func NewResumer(desk *Desk) *Resumer { return &Resumer{desk: desk, done: make(chan struct{})} }

// Start begins to look.
func (r *Resumer) Start(ctx context.Context) error {
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(r.done)
		tick := time.NewTicker(resumeEvery)
		defer tick.Stop()
		for {
			if err := r.desk.Resume(ctx); err != nil && ctx.Err() == nil {
				r.desk.cfg.Log.Warn("redrives not taken up", zap.Error(err))
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// Stop ends it; what is under way is taken up by whoever comes next.
func (r *Resumer) Stop(ctx context.Context) error {
	r.stop()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop taking up redrives: %w", context.Cause(ctx))
	}
}

// Resume takes up what nobody holds, and tries each once. Without a broker it does nothing.
func (d *Desk) Resume(ctx context.Context) error {
	if d.cfg.Ready() != nil {
		return nil
	}
	for {
		found, err := d.cfg.Letters.TakeUp(ctx, resumeBatch)
		if err != nil {
			return err
		}
		for i := range found {
			r, ctx := &found[i], store.ForTenant(ctx, found[i].Letter.Tenant)
			if err := d.publish(ctx, r); err != nil {
				// An earlier try may have reached a queue, so it is never given back.
				d.cfg.Log.Warn("a redrive is not confirmed yet", append(fields(r), zap.Error(err))...)
				continue
			}
			if err := d.confirm(ctx, r); err != nil {
				return err
			}
			d.cfg.Log.Info("a redrive was finished", fields(r)...)
		}
		if len(found) < resumeBatch {
			return nil
		}
	}
}
