package broker

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	backoffMin = 100 * time.Millisecond
	backoffMax = 5 * time.Second
	// steady is how long something must have lasted for its failure to count as new.
	steady = 2 * time.Second
)

// backoff doubles from backoffMin to backoffMax, each wait between half of that and all of
// it, so that many processes do not come back at the same moment.
type backoff struct{ step time.Duration }

func (b *backoff) next() time.Duration {
	b.step = min(max(2*b.step, backoffMin), backoffMax)
	return b.step/2 + rand.N(b.step/2)
}

func (b *backoff) reset() { b.step = 0 }

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
