package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	defaultPrefetch = 256
	defaultRun      = 64
	defaultGapDelay = 50 * time.Millisecond
)

// AckRun says how acks are gathered. An ack with the multiple flag costs the broker as much
// as one for a single message.
type AckRun struct {
	// Max is the longest run; it is sent at once when it is full. Default 64, and never
	// more than a quarter of the prefetch, which unsent acks take up.
	Max int
	// Delay is how long a shorter run waits, and how long a message that is still being
	// handled may hold up the acks of later ones; past it they are sent one by one. Default
	// 50 ms; 2 ms when no message is being handled.
	Delay time.Duration
}

// ConsumerConfig of a consumer. Queue and Handle are required.
type ConsumerConfig struct {
	Queue string
	// Prefetch is the most messages delivered and not settled. Default 256.
	Prefetch int
	// Exclusive asks to be the only consumer. Quorum queues ignore it before RabbitMQ 4.
	Exclusive bool
	// Priority is x-priority: consumers of a lower one get messages only when this one's
	// prefetch is used up.
	Priority int
	AckRun   AckRun
	// Handle is called for each message in the queue's order, on the consumer's goroutine:
	// it must not block for long, since it holds up the messages behind it and, when the
	// link is lost, the next connect. ctx ends when the delivery is lost. The delivery may
	// be settled later, from any goroutine.
	Handle func(ctx context.Context, d *Delivery)
}

// Consumer consumes one queue on a channel of its own. It needs no closing: it ends with
// its link, and what is not settled then goes back to the broker. Drain ends it politely.
type Consumer struct {
	link *Link
	cfg  ConsumerConfig
	turn chan struct{} // held while the channel's consuming is changed

	mu      sync.Mutex // guards the rest
	paused  bool
	drained bool
	live    *consuming // the open channel; nil when there is none
	consume int        // counts consumer tags
}

// NewConsumer makes a consumer and registers its OnUp step on link. Register what declares
// the queue before.
func NewConsumer(link *Link, cfg ConsumerConfig) *Consumer {
	if cfg.Prefetch <= 0 {
		cfg.Prefetch = defaultPrefetch
	}
	if cfg.AckRun.Max <= 0 {
		cfg.AckRun.Max = defaultRun
	}
	cfg.AckRun.Max = min(cfg.AckRun.Max, max(1, cfg.Prefetch/4))
	if cfg.AckRun.Delay <= 0 {
		cfg.AckRun.Delay = defaultGapDelay
	}
	c := &Consumer{link: link, cfg: cfg, turn: make(chan struct{}, 1)}
	link.OnUp("consume "+cfg.Queue, c.open)
	return c
}

// Pause stops deliveries until Resume, across reconnects as well: at the broker by
// cancelling, and here after those that have already come, up to the prefetch, which are
// still handed out. What is not settled stays ours. Pausing twice is fine.
func (c *Consumer) Pause(ctx context.Context) error {
	return c.change(ctx, "pause", func() { c.paused = true })
}

// Resume consumes again. It changes nothing when the consumer is not paused, or drained.
func (c *Consumer) Resume(ctx context.Context) error {
	return c.change(ctx, "resume", func() { c.paused = false })
}

// change sets what is wanted, and brings the open channel, if any, in line with it.
func (c *Consumer) change(ctx context.Context, what string, set func()) error {
	what += " the consumer of " + c.cfg.Queue
	if err := c.take(ctx, what); err != nil {
		return err
	}
	c.mu.Lock()
	set()
	g, want := c.live, !c.paused && !c.drained
	c.mu.Unlock()
	if g == nil || want == (g.tag != "") {
		c.give()
		return nil
	}
	return g.session.callHolding(ctx, what, c.give, func() error {
		if want {
			return g.consume()
		}
		return g.cancel()
	})
}

func (c *Consumer) take(ctx context.Context, what string) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: waiting for an earlier change: %w", what, ctx.Err())
	}
}

func (c *Consumer) give() { <-c.turn }

// Drain ends the consumer for good: no more messages are handed out, and those that have
// come go back to the queue at once. It waits until each one handed out is settled and the
// broker has taken the verdicts, and closes the channel. When ctx ends first, the error
// says how many are unsettled; they go back when the link is stopped. With the link down
// there is nothing to wait for.
func (c *Consumer) Drain(ctx context.Context) error {
	if err := c.take(ctx, "drain "+c.cfg.Queue); err != nil {
		return err
	}
	c.mu.Lock()
	c.drained = true
	g := c.live
	c.mu.Unlock()
	c.give()
	if g == nil {
		return nil
	}
	settled := g.settlements.shutdown()
	if err := c.change(ctx, "cancel", func() {}); err != nil {
		return lostIsFine(g, err)
	}
	select {
	case <-settled:
	case <-g.settlements.lost:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain %s: %d deliveries are not settled: %w", c.cfg.Queue, g.settlements.pending(), ctx.Err())
	}
	return lostIsFine(g, g.session.call(ctx, "drain "+c.cfg.Queue, func() error {
		g.settlements.flush()
		// Closing is answered after everything that was sent before it on this channel.
		return g.ch.Close()
	}))
}

// lostIsFine drops the error when the channel is gone: then there is nothing to drain.
func lostIsFine(g *consuming, err error) error {
	select {
	case <-g.settlements.lost:
		return nil
	default:
		return err
	}
}

// Unsettled is how many deliveries were handed out and not settled.
func (c *Consumer) Unsettled() int {
	c.mu.Lock()
	g := c.live
	c.mu.Unlock()
	if g == nil {
		return 0
	}
	return g.settlements.pending()
}

// open is the OnUp step.
func (c *Consumer) open(ctx context.Context, s *Session) error {
	g, err := c.openChannel(ctx, s)
	if err != nil || g == nil {
		return err
	}
	s.crew.Go(func() { c.keep(s, g) })
	return nil
}

// keep runs channel after channel until the session ends or the consumer is drained.
func (c *Consumer) keep(s *Session, g *consuming) {
	var wait backoff
	for {
		began := time.Now()
		why := g.deliver()
		c.close(g)
		if s.life.Err() != nil || c.isDrained() {
			return
		}
		c.link.cfg.Log.Warn("consumer's channel was closed", zap.String("queue", c.cfg.Queue), zap.Error(why))
		if time.Since(began) > steady {
			wait.reset()
		}
		var err error
		g, err = reopen(s, &wait, why, c.openChannel)
		if err != nil {
			s.end(fmt.Errorf("consumer of %s: %w", c.cfg.Queue, err))
			return
		}
		if g == nil {
			return
		}
	}
}

func (c *Consumer) isDrained() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drained
}

// errCancelled is why a channel is given up when the broker cancelled its consumer.
var errCancelled = errors.New("the broker cancelled the consumer")
