package app

import (
	"context"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/message"
)

// backlog is ops.Backlog on the broker.
type backlog struct{ link *broker.Link }

func (b backlog) Take(ctx context.Context, queue string, each func(context.Context, *message.Message) error) error {
	return b.link.Do(ctx, func(ctx context.Context, s *broker.Session) error {
		return s.Drain(ctx, queue, func(ctx context.Context, d *broker.Delivery) error { return each(ctx, &d.Message) })
	})
}
