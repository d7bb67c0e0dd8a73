package load

import (
	"context"
	"time"
)

// turnedAwayPause is what a worker waits after a refusal; the platform's Retry-After is longer, and meant for clients
// that can wait.
const turnedAwayPause = 50 * time.Millisecond

// startClosed has every worker post, wait for the outcomes, and post again.
func (r *Run) startClosed(ctx context.Context) {
	for n := range r.plan.Workers {
		r.workers.Go(func() { r.workClosed(ctx, r.newHand(n)) })
	}
}

func (r *Run) workClosed(ctx context.Context, h *hand) {
	defer h.poster.close()
	waiter := make(chan struct{}, r.plan.Batch)
	for r.take() {
		turnedAway := r.post(ctx, h, r.now(), waiter)
		for range r.plan.Batch {
			select {
			case <-waiter:
			case <-r.broken:
				return
			}
		}
		if turnedAway {
			r.pause(turnedAwayPause)
		}
	}
}

// startOpen has POSTs fall due at the plan's rate, and every worker take the next that is. A worker that comes late
// does not move what is due: it stays the time from which latency counts.
func (r *Run) startOpen(ctx context.Context) {
	// Room for one each: what is due and not taken waits in the pacer, which loses nothing by waiting.
	due := make(chan time.Duration, r.plan.Workers)
	r.workers.Go(func() {
		defer close(due)
		begin := r.now()
		for n := int64(0); r.take(); n++ {
			at := begin + r.plan.due(n)
			if ahead := at - r.now(); ahead > 0 {
				r.pause(ahead)
			}
			select {
			case due <- at:
			case <-r.broken:
				return
			}
		}
	})
	for n := range r.plan.Workers {
		r.workers.Go(func() {
			h := r.newHand(n)
			defer h.poster.close()
			for at := range due {
				r.post(ctx, h, at, nil)
			}
		})
	}
}

// pause waits for a while, or until the run breaks or is stopped.
func (r *Run) pause(while time.Duration) {
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.stopped:
	case <-r.broken:
	}
}
