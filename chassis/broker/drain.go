package broker

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	drainPrefetch = 64
	drainRun      = 32
	// drainLook is how often a queue that gives nothing is asked whether it is empty: its
	// messages may have expired since it was last looked at.
	drainLook = 200 * time.Millisecond
)

// Drain consumes what waits in a queue until nothing is ready in it, and hands each message
// to f in order: nil acks it, an error ends the drain, and that message and the rest stay
// in the queue. The delivery's own Ack and Reject do nothing. Messages that another
// consumer holds are not waited for.
func (s *Session) Drain(ctx context.Context, queue string, f func(context.Context, *Delivery) error) error {
	what := "drain queue " + queue
	ch, err := s.openChannel(ctx, what)
	if err != nil {
		return err
	}
	tag := queue + ".drain"
	streams := make(chan (<-chan amqp.Delivery), 1)
	err = s.call(ctx, what, func() error {
		if err := ch.Qos(drainPrefetch, 0, false); err != nil {
			return err
		}
		deliveries, err := ch.Consume(queue, tag, false, false, false, false, nil)
		streams <- deliveries
		return err
	})
	if err != nil {
		return err
	}
	d := drain{session: s, ch: ch, queue: queue, f: f}
	err = d.run(ctx, <-streams)
	d.ack()
	// A quorum queue keeps acks that come faster than it can write them, and forgets them
	// when the channel is closed; cancelling is answered after they are written. Closing
	// then gives back what was delivered and not acked.
	over := s.call(ctx, what, func() error {
		if err := ch.Cancel(tag, false); err != nil {
			return err
		}
		return ch.Close()
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case over != nil:
		return over
	}
	return nil
}

// drain is one Drain under way.
type drain struct {
	session *Session
	ch      *amqp.Channel
	queue   string
	f       func(context.Context, *Delivery) error
	done    int    // messages handled and not acked
	last    uint64 // tag of the last of them
}

func (d *drain) run(ctx context.Context, deliveries <-chan amqp.Delivery) error {
	look := time.NewTimer(drainLook)
	defer look.Stop()
	for {
		select {
		case delivery, ok := <-deliveries:
			if !ok {
				return ErrUnavailable
			}
			if err := d.f(ctx, newDelivery(&delivery, d.session.generation)); err != nil {
				return err
			}
			d.done, d.last = d.done+1, delivery.DeliveryTag
			if d.done == drainRun {
				d.ack()
			}
			look.Reset(drainLook)
		case <-look.C:
			d.ack()
			ready, _, err := d.session.Inspect(ctx, d.queue)
			if err != nil || ready == 0 {
				return err
			}
			look.Reset(drainLook)
		case <-ctx.Done():
			return ctx.Err()
		case <-d.session.life.Done():
			return ErrUnavailable
		}
	}
}

// ack acks what was handled. If it cannot be written, the channel is gone, which run finds.
func (d *drain) ack() {
	if d.done > 0 {
		_ = d.ch.Ack(d.last, true)
		d.done = 0
	}
}
