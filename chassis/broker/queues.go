package broker

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Inspect tells how many messages of a queue are ready to be delivered, and how many
// consumers it has; ErrNotFound when there is no such queue, ErrLocked when it is another
// connection's exclusive queue.
func (s *Session) Inspect(ctx context.Context, queue string) (messages, consumers int, err error) {
	found := make(chan amqp.Queue, 1)
	err = s.onControl(ctx, "inspect queue "+queue, func(ch *amqp.Channel) error {
		q, err := inspect(ch, queue)
		found <- q
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	q := <-found
	return q.Messages, q.Consumers, nil
}

func inspect(ch *amqp.Channel, queue string) (amqp.Queue, error) {
	return ch.QueueDeclarePassive(queue, true, false, false, false, nil)
}

// ExchangeExists asks whether there is an exchange of that name.
func (s *Session) ExchangeExists(ctx context.Context, exchange string) (bool, error) {
	err := s.onControl(ctx, "look for exchange "+exchange, func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(exchange, "", false, false, false, false, nil)
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// DeleteQueue deletes a queue with what is in it; messages are not dead-lettered. With
// ifUnused or ifEmpty it first looks, and answers ErrInUse when there are consumers or
// ready messages. The look and the deletion are two steps, because quorum queues refuse
// AMQP's own flags and drop the connection; so unbind before. No such queue is no error.
func (s *Session) DeleteQueue(ctx context.Context, queue string, ifUnused, ifEmpty bool) error {
	err := s.onControl(ctx, "delete queue "+queue, func(ch *amqp.Channel) error {
		if ifUnused || ifEmpty {
			q, err := inspect(ch, queue)
			if err != nil {
				return err
			}
			if ifUnused && q.Consumers > 0 || ifEmpty && q.Messages > 0 {
				return fmt.Errorf("%w: %d messages, %d consumers", ErrInUse, q.Messages, q.Consumers)
			}
		}
		_, err := ch.QueueDelete(queue, false, false, false)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// DeleteExchange deletes an exchange with its bindings. No such exchange is no error.
func (s *Session) DeleteExchange(ctx context.Context, exchange string) error {
	err := s.onControl(ctx, "delete exchange "+exchange, func(ch *amqp.Channel) error {
		return ch.ExchangeDelete(exchange, false, false)
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
