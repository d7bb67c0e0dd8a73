package dispatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
)

// How a database that is away is waited for: without an end, since nothing may be
// acknowledged before it is back, but in few steps.
const (
	firstPause    = 50 * time.Millisecond
	longestPause  = 2 * time.Second
	complainEvery = time.Minute
)

// patience calls again what fails for a while. Hundreds of commands wait for the same
// database at once, so it logs for all of them together.
type patience struct {
	log *zap.Logger

	mu         sync.Mutex // guards complained
	complained time.Time
}

// until calls f until it returns nil or ErrUnrecordable, or ctx ends. Its error is one of the two.
func (p *patience) until(ctx context.Context, what string, f func() error) error {
	pause := firstPause
	for {
		err := f()
		if err == nil || errors.Is(err, ErrUnrecordable) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.complain(what, err)
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return context.Cause(ctx)
		}
		pause = min(2*pause, longestPause)
	}
}

func (p *patience) complain(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.complained) < complainEvery {
		return
	}
	p.complained = time.Now()
	p.log.Warn("waiting for the database", zap.String("attempted", what), zap.Error(err))
}

// sleep returns false when ctx ends first.
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
