package feed

import (
	"context"

	"github.com/cupline/cupline/chassis/broker"
)

// overflow is a second consumer on a lane's queue, for while commands are held.
//
// A command that another worker may still be running is held, without a slot, until that
// worker counts as lost; but it takes up the prefetch, which is no larger than the number
// of slots. So when a peer dies with hundreds of commands, those would stand in the way of
// all others for the length of their timeouts. While held commands take up a quarter of
// the prefetch or more, this consumer brings in as many again; what it brings waits for a
// free slot. That bounds the held ones as well, at twice the concurrency; past it the lane waits.
type overflow struct {
	consumer *broker.Consumer
	engine   Engine
	from     int
}

func newOverflow(link *broker.Link, cfg broker.ConsumerConfig, engine Engine) *overflow {
	return &overflow{consumer: broker.NewConsumer(link, cfg), engine: engine, from: max(1, cfg.Prefetch/4)}
}

// watch turns the consumer on and off until ctx ends.
func (o *overflow) watch(ctx context.Context) {
	on := false
	for {
		select {
		case <-o.engine.HeldChanged():
		case <-ctx.Done():
			return
		}
		switch held := o.engine.Held(); {
		case !on && held >= o.from:
			on = o.consumer.Resume(ctx) == nil
		case on && held == 0:
			on = o.consumer.Pause(ctx) != nil
		}
	}
}
