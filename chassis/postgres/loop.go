package postgres

import (
	"context"
	"sync"
	"time"
)

// loop is one background goroutine that can be started once, and stopped any time.
type loop struct {
	mu      sync.Mutex // guards the rest
	cancel  context.CancelFunc
	done    chan struct{}
	stopped bool
}

// start runs f in the background. Its context has ctx's values, and ends with stop only.
// Starting again, or after stop, changes nothing.
func (l *loop) start(ctx context.Context, f func(ctx context.Context)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.cancel != nil {
		return nil
	}
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.done = make(chan struct{})
	go func() {
		defer close(l.done)
		f(ctx)
	}()
	return nil
}

// stop ends f's context, and returns when f has returned, or ctx's error before that.
func (l *loop) stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopped = true
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleep waits for d, or until ctx ends; it reports whether the whole time passed.
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
