package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cupline/cupline/schema/topology"
)

// publishing is one channel in confirm mode. One goroutine, in run, writes on it; everyone
// else hands it submissions, and settles them when the broker has answered.
//
// Confirms are taken from the library's per-message confirmations. Its other form, one
// channel of confirms put in order, would hold every confirm behind the slowest queue's,
// and reports a nacked message as acked when an ack of several passes over it.
type publishing struct {
	session *Session
	ch      *amqp.Channel
	closes  <-chan *amqp.Error
	returns <-chan amqp.Return // never more than the window holds: each return has its confirm
	window  chan struct{}      // a place for each message not yet confirmed
	queue   chan *submission
	gone    chan struct{} // closed when run has returned

	mu        sync.Mutex // guards the rest
	mandatory map[identity]*submission
	tokens    int64 // last token given to a submission that its identity does not tell apart
}

// run writes what is submitted until the channel or the session ends, and says why.
func (g *publishing) run(ctx context.Context) error {
	defer close(g.gone)
	probes := time.NewTicker(probeEvery)
	defer probes.Stop()
	idle := true
	for {
		select {
		case sub := <-g.queue:
			g.write(sub)
			idle = false
		case <-probes.C:
			if idle && !g.session.alarm.active() {
				_, _ = g.probe() // a failure closes the channel, which is noticed below
			}
			idle = true
		case err, ok := <-g.closes:
			if !ok {
				return errors.New("channel closed")
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// write sends one submission, unless it is to be refused or was abandoned meanwhile.
func (g *publishing) write(sub *submission) {
	if !sub.claim() {
		g.leaveWindow()
		return
	}
	switch {
	case g.session.alarm.active():
		sub.err = g.blocked()
	case g.ch.IsClosed():
		sub.err = fmt.Errorf("%w: the channel was closed", ErrUnavailable)
	default:
		g.expectReturn(sub)
		sub.confirm, sub.err = g.publish(sub)
		if sub.err != nil {
			g.returned(sub)
		}
	}
	if sub.err != nil {
		g.leaveWindow()
	}
	sub.written <- struct{}{}
}

func (g *publishing) publish(sub *submission) (*amqp.DeferredConfirmation, error) {
	confirm, err := g.ch.PublishWithDeferredConfirm(sub.exchange, sub.key, sub.mandatory, false, sub.content)
	switch {
	case err == nil:
		return confirm, nil
	case errors.Is(err, amqp.ErrClosed):
		// Said before a frame is written; a message with a frame missing is none.
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrInDoubt, err)
}

// settle turns the broker's answer to a written submission into Publish's. It is called
// once for each, after confirm is done.
func (g *publishing) settle(sub *submission) error {
	returned := g.returned(sub)
	defer g.leaveWindow()
	switch {
	case returned:
		return fmt.Errorf("%w: exchange %q, key %q", ErrUnroutable, sub.exchange, sub.key)
	case sub.confirm.Acked():
		return nil
	case g.ch.IsClosed():
		// The library answers no to everything unconfirmed when the channel dies.
		return fmt.Errorf("%w: the channel was closed", ErrInDoubt)
	}
	return fmt.Errorf("%w: exchange %q, key %q", ErrRefused, sub.exchange, sub.key)
}

func (g *publishing) leaveWindow() { <-g.window }

func (g *publishing) blocked() error {
	return fmt.Errorf("%w: %s", ErrBlocked, g.session.alarm.reason())
}

func (g *publishing) probe() (*amqp.DeferredConfirmation, error) {
	return g.ch.PublishWithDeferredConfirm(topology.ProbeExchange, probeKey, false, false, amqp.Publishing{DeliveryMode: amqp.Transient})
}

// probeTwice returns once it is known whether the broker takes messages. A broker with an
// alarm still takes the first message of a connection, says that it is blocked, and then
// reads no more; so only the second one's confirm means that it is not.
func (g *publishing) probeTwice(ctx context.Context) error {
	sent := make(chan *amqp.DeferredConfirmation, 1)
	err := g.session.call(ctx, "probe the broker", func() error {
		if _, err := g.probe(); err != nil {
			return err
		}
		confirm, err := g.probe()
		sent <- confirm
		return err
	})
	if err != nil {
		return err
	}
	confirm := <-sent
	select {
	case <-confirm.Done():
		if !confirm.Acked() {
			return errors.New("probe the broker: not confirmed")
		}
		return nil
	case <-g.session.alarm.raised():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("probe the broker: %w", context.Cause(ctx))
	}
}
