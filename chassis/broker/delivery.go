package broker

import (
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cupline/cupline/schema/message"
)

// deliveryCountHeader is set by quorum queues from the second delivery on.
const deliveryCountHeader = "x-delivery-count"

// Delivery is one message taken from a queue. It is settled by one of Ack, Reject and
// Requeue, from any goroutine; the first one counts, and does not wait for the broker.
// When the delivery's channel is gone they do nothing: the broker has already given the
// message to somebody else, or will.
type Delivery struct {
	message.Message
	// Redelivered: the message was delivered before, to this consumer or another.
	Redelivered bool
	// DeliveryCount is how often a quorum queue delivered it before; 0 on other queues.
	DeliveryCount int64
	// Generation of the link's session that the delivery belongs to.
	Generation uint64

	// The rest belongs to owner: a place in its list of what the broker waits for.
	owner      *settlements
	tag        uint64
	state      verdict
	prev, next *Delivery
}

// verdict is what becomes of a delivery.
type verdict uint8

const (
	open verdict = iota
	acked
	rejected
	requeued
)

// String is the verdict as a metrics label.
func (v verdict) String() string {
	switch v {
	case acked:
		return "acked"
	case rejected:
		return "rejected"
	case requeued:
		return "requeued"
	}
	return "open"
}

func newDelivery(d *amqp.Delivery, generation uint64) *Delivery {
	delivery := &Delivery{
		Message: decode(d), Redelivered: d.Redelivered, Generation: generation, tag: d.DeliveryTag,
	}
	delivery.DeliveryCount, _ = delivery.Int(deliveryCountHeader)
	return delivery
}

// Ack says that the message's effect is durable elsewhere; the queue forgets it. Acks are
// gathered and sent in runs, see AckRun.
func (d *Delivery) Ack() { d.settle(acked) }

// Reject gives the message up: the queue dead-letters it, or drops it when it has no
// dead-letter exchange. Sent at once.
func (d *Delivery) Reject() { d.settle(rejected) }

// Requeue hands the message back to the queue, for another consumer. It is for handing back
// what was never begun, at shutdown; the queue counts it as a delivery, so it is never a
// way to retry. Sent at once.
func (d *Delivery) Requeue() { d.settle(requeued) }

// Lost is closed when the delivery's channel is gone, and with it the right to settle.
// It never is for a delivery of Session.Drain.
func (d *Delivery) Lost() <-chan struct{} {
	if d.owner == nil {
		return nil
	}
	return d.owner.lost
}

func (d *Delivery) settle(v verdict) {
	if d.owner != nil {
		d.owner.settle(d, v)
	}
}
