package broker

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	drainPrefetch = 64
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
	// Closing gives back what was delivered and not acked, and is answered after the acks.
	defer func() { _ = s.call(ctx, what, ch.Close) }()
	streams := make(chan (<-chan amqp.Delivery), 1)
	err = s.call(ctx, what, func() error {
		if err := ch.Qos(drainPrefetch, 0, false); err != nil {
			return err
		}
		deliveries, err := ch.Consume(queue, queue+".drain", false, false, false, false, nil)
		streams <- deliveries
		return err
	})
	if err != nil {
		return err
	}
	if err := s.drain(ctx, ch, queue, <-streams, f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (s *Session) drain(ctx context.Context, ch *amqp.Channel, queue string, deliveries <-chan amqp.Delivery, f func(context.Context, *Delivery) error) error {
	look := time.NewTimer(drainLook)
	defer look.Stop()
	for {
		select {
		case d, ok := <-deliveries:
			if !ok {
				return ErrUnavailable
			}
			if err := f(ctx, newDelivery(&d, s.generation)); err != nil {
				return err
			}
			if err := ch.Ack(d.DeliveryTag, false); err != nil {
				return explain("ack", err)
			}
			look.Reset(drainLook)
		case <-look.C:
			ready, _, err := s.Inspect(ctx, queue)
			if err != nil {
				return err
			}
			if ready == 0 {
				return nil
			}
			look.Reset(drainLook)
		case <-ctx.Done():
			return ctx.Err()
		case <-s.life.Done():
			return ErrUnavailable
		}
	}
}
