package broker

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

// explain says what was attempted, and puts the answer that callers can ask for in front
// of the broker's own words.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	if answer := meaning(err); answer != nil {
		return fmt.Errorf("%s: %w: %w", what, answer, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// meaning of the broker's error by its code; nil when it has no answer of its own here.
func meaning(err error) error {
	switch code(err) {
	case amqp.NotFound:
		return ErrNotFound
	case amqp.AccessRefused:
		return ErrForbidden
	case amqp.ResourceLocked:
		return ErrLocked
	case amqp.ConnectionForced, amqp.ChannelError, amqp.FrameError, amqp.InternalError:
		return ErrUnavailable
	}
	return nil
}

// code is the AMQP reply code in err, or 0.
func code(err error) int {
	var broken *amqp.Error
	if errors.As(err, &broken) {
		return broken.Code
	}
	return 0
}

// unsent is the error of a publish that was given up before it was written.
func unsent(ctx context.Context, doing string) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, ctx.Err())
}
