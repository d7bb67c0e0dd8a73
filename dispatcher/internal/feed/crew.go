package feed

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cupline/cupline/chassis/broker"
)

// errStopping is why waiting ends at shutdown.
var errStopping = errors.New("the dispatcher is stopping")

// crew is the goroutines of one feed, one for each delivery at most, and the two ends
// that they know: of waiting, when nothing new may be started, and of everything.
//
// The contexts are kept, against the rule, because they are the lifetime of this value;
// a delivery's own context would end a running call with its link.
type crew struct {
	waiting     context.Context //nolint:containedctx // see above
	stopWaiting context.CancelCauseFunc
	all         context.Context //nolint:containedctx // see above
	stopAll     context.CancelCauseFunc

	mu     sync.Mutex // guards closed, and adding to group against its Wait
	closed bool
	group  sync.WaitGroup
}

func newCrew() *crew {
	c := &crew{}
	c.all, c.stopAll = context.WithCancelCause(context.Background())
	c.waiting, c.stopWaiting = context.WithCancelCause(c.all)
	return c
}

// run starts a goroutine; false when the crew has been told to end.
func (c *crew) run(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.group.Go(f)
	}
	return !c.closed
}

// stopping tells whether waiting has ended.
func (c *crew) stopping() bool { return c.waiting.Err() != nil }

// end stops waiting, lets what has started finish until ctx ends, and then ends it. It
// returns when every goroutine is gone; the error is ctx's when some had to be ended.
func (c *crew) end(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stopWaiting(errStopping)
	done := make(chan struct{})
	go func() {
		c.group.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.stopAll(errStopping)
	<-done
	return err
}

// pauseLimit bounds the wait for a broker that is to hear that no more is wanted; a link
// that is stuck must not take up the time in which commands could finish.
const pauseLimit = 3 * time.Second

// pause stops deliveries to all of the consumers.
func pause(ctx context.Context, consumers ...*broker.Consumer) error {
	ctx, cancel := context.WithTimeout(ctx, pauseLimit)
	defer cancel()
	var problems []error
	for _, c := range consumers {
		problems = append(problems, c.Pause(ctx))
	}
	return errors.Join(problems...)
}
