package broker

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/cupline/cupline/schema/topology"
)

// bindRun is how many bindings are sent before an answer is waited for: enough that the
// round trip costs nothing, few enough that the broker never holds a long queue of them.
const bindRun = 512

// Drift is something that exists with other arguments than were declared. It is used as it
// is; changing it is an operator's decision.
type Drift struct {
	What string // "exchange" or "queue"
	Name string
	Err  error // the broker's words, naming the argument
}

// String says what differs, for a log line.
func (d Drift) String() string { return fmt.Sprintf("%s %s: %v", d.What, d.Name, d.Err) }

// Declare makes what is not there yet: exchanges, then queues, then bindings. Exclusive
// queues belong to this connection; ErrLocked when another one has such a queue. What
// exists with other arguments (406) is reported, and the rest goes on. Predeclared
// exchanges are skipped. What is borrowed and there is left as it is, with its bindings,
// so that no right to declare it is needed. Declaring again what is there changes nothing.
func (s *Session) Declare(ctx context.Context, t topology.Topology) ([]Drift, error) {
	var drifts []Drift
	note := func(what, name string, err error) error {
		if code(err) == amqp.PreconditionFailed {
			drifts = append(drifts, Drift{what, name, err})
			return nil
		}
		return err
	}
	lent := make(map[end]bool)
	for _, e := range t.Exchanges {
		at := end{e.Name, true}
		if e.Predeclared || e.Borrowed && s.lends(ctx, at, lent) {
			continue
		}
		if err := note("exchange", e.Name, s.declareExchange(ctx, e)); err != nil {
			return drifts, err
		}
	}
	for _, q := range t.Queues {
		if q.Borrowed && s.lends(ctx, end{q.Name, false}, lent) {
			continue
		}
		if err := note("queue", q.Name, s.declareQueue(ctx, q)); err != nil {
			return drifts, err
		}
	}
	own := make([]topology.Binding, 0, len(t.Bindings))
	for _, b := range t.Bindings {
		if !lent[end{b.Destination, b.ToExchange}] {
			own = append(own, b)
		}
	}
	return drifts, s.Bind(ctx, own...)
}

// end is where a binding can lead to.
type end struct {
	name     string
	exchange bool
}

// lends looks whether somebody else has declared it, and notes it. Whatever keeps it from
// seeing that is told by the declaration that follows.
func (s *Session) lends(ctx context.Context, at end, lent map[end]bool) bool {
	if at.exchange {
		there, err := s.ExchangeExists(ctx, at.name)
		lent[at] = err == nil && there
	} else {
		_, _, err := s.Inspect(ctx, at.name)
		lent[at] = err == nil || errors.Is(err, ErrLocked)
	}
	return lent[at]
}

func (s *Session) declareExchange(ctx context.Context, e topology.Exchange) error {
	var arguments amqp.Table
	if e.Alternate != "" {
		arguments = amqp.Table{"alternate-exchange": e.Alternate}
	}
	return s.onControl(ctx, "declare exchange "+e.Name, func(ch *amqp.Channel) error {
		const autoDelete, internal, noWait = false, false, false
		return ch.ExchangeDeclare(e.Name, string(e.Kind), e.Durable, autoDelete, internal, noWait, arguments)
	})
}

func (s *Session) declareQueue(ctx context.Context, q topology.Queue) error {
	arguments, err := encodeTable(q.Arguments)
	if err != nil {
		return fmt.Errorf("declare queue %s: %w", q.Name, err)
	}
	return s.onControl(ctx, "declare queue "+q.Name, func(ch *amqp.Channel) error {
		const autoDelete, noWait = false, false
		_, err := ch.QueueDeclare(q.Name, !q.Exclusive, autoDelete, q.Exclusive, noWait, arguments)
		return err
	})
}

// Lock declares an exclusive queue, which is then this connection's alone until it is gone.
// ErrLocked when another connection has it.
func (s *Session) Lock(ctx context.Context, q topology.Queue) error {
	q.Exclusive = true
	return s.declareQueue(ctx, q)
}

// Bind makes bindings, and returns when all are in force. The first from each exchange to
// each destination is waited for, the others are sent in runs of 512 with one answer waited
// for in each, so many cost little more than the broker's own work. After an error it is
// not known which of them are in force; making one twice is harmless. ErrNotFound when an
// exchange or queue is missing.
func (s *Session) Bind(ctx context.Context, bindings ...topology.Binding) error {
	known := make(map[topology.Binding]bool)
	for len(bindings) > 0 {
		run := bindings[:min(bindRun, len(bindings))]
		bindings = bindings[len(run):]
		what := fmt.Sprintf("bind %d keys, the last of them %s", len(run), describe(run[len(run)-1]))
		err := s.onControl(ctx, what, func(ch *amqp.Channel) error { return bindAll(ch, run, known) })
		if err != nil {
			return err
		}
	}
	return nil
}

// bindAll makes one run of bindings. known holds, without key, those that were answered:
// both of their ends are there. What is not waited for must not fail, if it can be helped:
// the library may then send the next one behind its own consent to closing the channel, and
// the broker answers that by closing the connection.
func bindAll(ch *amqp.Channel, run []topology.Binding, known map[topology.Binding]bool) error {
	for i, b := range run {
		ends := b
		ends.Key = ""
		noWait := known[ends] && i < len(run)-1
		if err := bind(ch, b, noWait); err != nil {
			return err
		}
		known[ends] = true
	}
	return nil
}

func bind(ch *amqp.Channel, b topology.Binding, noWait bool) error {
	if b.ToExchange {
		return ch.ExchangeBind(b.Destination, b.Key, b.Source, noWait, nil)
	}
	return ch.QueueBind(b.Destination, b.Key, b.Source, noWait, nil)
}

// Unbind undoes bindings, and returns when all are gone; one that is not there is no error.
// AMQP answers each unbind of a queue, so each costs a round trip.
func (s *Session) Unbind(ctx context.Context, bindings ...topology.Binding) error {
	for _, b := range bindings {
		err := s.onControl(ctx, "unbind "+describe(b), func(ch *amqp.Channel) error {
			if b.ToExchange {
				return ch.ExchangeUnbind(b.Destination, b.Key, b.Source, false, nil)
			}
			return ch.QueueUnbind(b.Destination, b.Key, b.Source, nil)
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

func describe(b topology.Binding) string {
	return fmt.Sprintf("%q from %s to %s", b.Key, b.Source, b.Destination)
}
