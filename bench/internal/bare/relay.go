package bare

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// flushEvery is how long a run of acks that is not full may wait.
const flushEvery = 50 * time.Millisecond

// consumerTag names the one consumer of a channel.
const consumerTag = "bench"

// relay takes, publishes, and acks what was confirmed.
type relay struct {
	in, out    *amqp.Channel
	deliveries <-chan amqp.Delivery
	confirms   chan amqp.Confirmation
	unsettled  chan uint64 // tags of what is published, in that order; the prefetch bounds them
	run        int
	keys       []string
	forwarded  chan struct{} // nothing more will be published
	settled    chan struct{} // all of it is acked
}

func newRelay(cfg Config, in, out *amqp.Channel) (*relay, error) {
	if err := out.Confirm(false); err != nil {
		return nil, fmt.Errorf("ask for confirms: %w", err)
	}
	r := &relay{
		in: in, out: out, confirms: out.NotifyPublish(make(chan amqp.Confirmation, cfg.Prefetch)),
		unsettled: make(chan uint64, cfg.Prefetch), run: cfg.AckRun,
		forwarded: make(chan struct{}), settled: make(chan struct{}),
	}
	for client := range cfg.Clients {
		r.keys = append(r.keys, key(client))
	}
	var err error
	r.deliveries, err = consume(in, firstQueue, cfg.Prefetch)
	return r, err
}

func consume(ch *amqp.Channel, queue string, prefetch int) (<-chan amqp.Delivery, error) {
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return nil, fmt.Errorf("set the prefetch: %w", err)
	}
	deliveries, err := ch.Consume(queue, consumerTag, false, false, false, false, nil)
	if err != nil {
		return nil, fmt.Errorf("consume from %s: %w", queue, err)
	}
	return deliveries, nil
}

// forward ends with its consumer, or the channel.
func (r *relay) forward() error {
	defer close(r.forwarded)
	for d := range r.deliveries {
		to := r.keys[binary.BigEndian.Uint64(d.Body)%uint64(len(r.keys))]
		r.unsettled <- d.DeliveryTag
		if err := r.out.PublishWithContext(context.Background(), exchange, to, false, false, persistent(d.Body)); err != nil {
			return fmt.Errorf("relay: %w", err)
		}
	}
	if r.in.IsClosed() {
		return errClosed
	}
	return nil
}

// settle acks in the order of confirms, which the library keeps to that of publishing. It ends when all that was
// forwarded is acked, or with the channel.
func (r *relay) settle() error {
	defer close(r.settled)
	acks := acks{ch: r.in, run: r.run}
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	forwarded := r.forwarded
	for forwarded != nil || len(r.unsettled) > 0 {
		var err error
		select {
		case c, open := <-r.confirms:
			switch {
			case !open:
				return errClosed
			case !c.Ack:
				return errRefused
			}
			err = acks.add(<-r.unsettled)
		case <-flush.C:
			err = acks.flush()
		case <-forwarded:
			forwarded = nil
		}
		if err != nil {
			return fmt.Errorf("ack: %w", err)
		}
	}
	return acks.flush()
}

// acks settles a prefix of deliveries in runs.
type acks struct {
	ch      *amqp.Channel
	run     int
	waiting int
	last    uint64
}

func (a *acks) add(tag uint64) error {
	a.last = tag
	if a.waiting++; a.waiting < a.run {
		return nil
	}
	return a.flush()
}

func (a *acks) flush() error {
	if a.waiting == 0 {
		return nil
	}
	several := a.waiting > 1
	a.waiting = 0
	return a.ch.Ack(a.last, several)
}
