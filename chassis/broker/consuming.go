package broker

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

// consuming is one open channel of a consumer.
type consuming struct {
	consumer    *Consumer
	session     *Session
	ch          *amqp.Channel
	closes      <-chan *amqp.Error
	cancels     <-chan string
	feeds       chan (<-chan amqp.Delivery) // the stream of each basic.consume; holds one
	settlements *settlements
	tag         string // of the present basic.consume; "" when paused. Guarded by Consumer.turn
}

// openChannel opens a channel and consumes on it, unless paused. It returns nil, and no
// error, when the consumer is drained.
func (c *Consumer) openChannel(ctx context.Context, s *Session) (*consuming, error) {
	if err := c.take(ctx, "consume "+c.cfg.Queue); err != nil {
		return nil, err
	}
	c.mu.Lock()
	drained, paused := c.drained, c.paused
	c.mu.Unlock()
	if drained {
		c.give()
		return nil, nil
	}
	opened := make(chan *consuming, 1)
	err := s.callHolding(ctx, "consume "+c.cfg.Queue, c.give, func() error {
		g, err := c.setUp(s, paused)
		opened <- g
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-opened, nil
}

// setUp makes the library's calls for a new channel. It holds turn.
func (c *Consumer) setUp(s *Session, paused bool) (*consuming, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, err
	}
	g := &consuming{
		consumer: c, session: s, ch: ch,
		closes:  ch.NotifyClose(make(chan *amqp.Error, 1)),
		cancels: ch.NotifyCancel(make(chan string, 1)),
		feeds:   make(chan (<-chan amqp.Delivery), 1),
	}
	name, metrics := c.link.cfg.Name, c.link.cfg.Metrics
	g.settlements = newSettlements(ch, c.cfg.AckRun,
		func(frames int) { metrics.settleFrames(name, frames) },
		func(v verdict) { metrics.settle(name, v) })
	if err := ch.Qos(c.cfg.Prefetch, 0, false); err != nil {
		return nil, fmt.Errorf("set the prefetch: %w", err)
	}
	if !paused {
		if err := g.consume(); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	c.live = g
	c.mu.Unlock()
	s.onFarewell(g.settlements.flush)
	s.crew.Go(func() { g.settlements.keep(s.life) })
	return g, nil
}

// close gives a channel up: the verdicts that are there are written, if they still can be,
// and the rest of its deliveries are lost.
func (c *Consumer) close(g *consuming) {
	c.mu.Lock()
	c.live = nil
	c.mu.Unlock()
	g.settlements.flush()
	if g.session.life.Err() == nil {
		_ = g.session.call(g.session.life, "close the channel", g.ch.Close) // it is gone either way
	}
	g.settlements.close()
}

// consume begins a stream of deliveries. It holds turn.
func (g *consuming) consume() error {
	c := g.consumer
	c.mu.Lock()
	c.consume++
	tag := fmt.Sprintf("%s.%d", c.cfg.Queue, c.consume)
	c.mu.Unlock()
	var arguments amqp.Table
	if c.cfg.Priority != 0 {
		arguments = amqp.Table{"x-priority": int32(c.cfg.Priority)}
	}
	const autoAck, noLocal, noWait = false, false, false
	deliveries, err := g.ch.Consume(c.cfg.Queue, tag, autoAck, c.cfg.Exclusive, noLocal, noWait, arguments)
	if err != nil {
		return err
	}
	g.tag = tag
	select {
	case g.feeds <- deliveries:
		return nil
	case <-g.session.life.Done():
		return context.Cause(g.session.life)
	}
}

// cancel ends the stream; what has come already is still handed out. It holds turn.
func (g *consuming) cancel() error {
	tag := g.tag
	g.tag = ""
	return g.ch.Cancel(tag, false)
}

// deliver hands out deliveries until the channel or the session ends, and says why.
func (g *consuming) deliver() error {
	ctx, cancel := context.WithCancelCause(g.session.life)
	defer cancel(errors.New("the consumer's channel is gone"))
	var deliveries <-chan amqp.Delivery
	for {
		// The next stream is begun only when the last one has ended, which keeps the order
		// and loses none of it.
		feeds := g.feeds
		if deliveries != nil {
			feeds = nil
		}
		select {
		case deliveries = <-feeds:
		case d, ok := <-deliveries:
			if !ok {
				deliveries = nil
				continue
			}
			delivery := newDelivery(&d, g.session.generation)
			if g.settlements.add(delivery) {
				g.consumer.cfg.Handle(ctx, delivery)
			} else {
				g.settlements.handBack(delivery.tag)
			}
		case _, ok := <-g.cancels:
			if ok {
				return errCancelled
			}
			g.cancels = nil
		case err, ok := <-g.closes:
			if ok {
				return err
			}
			return errors.New("channel closed")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
