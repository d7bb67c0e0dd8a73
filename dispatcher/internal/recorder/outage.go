package recorder

import (
	"context"
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

// outage logs a database that is away for all letters together.
type outage struct {
	mu         sync.Mutex // guards complained
	complained time.Time
}

func (o *outage) complain(log *zap.Logger, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.complained) < complainEvery {
		return
	}
	o.complained = time.Now()
	log.Warn("waiting for the database to take dead letters", zap.Error(err))
}

// wait returns ctx's error when ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
