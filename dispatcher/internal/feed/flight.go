package feed

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
)

// flight is one command in this process, from its first delivery to the ack. When the
// link is lost the command runs on, and the redelivery is adopted: it starts nothing, and
// is what will be acknowledged.
type flight struct {
	key     flightKey
	command *dispatch.Command
	message message.Message // as first delivered
	span    *tracing.Span   // used by fly alone

	// Guarded by Work.mu: the deliveries that are not lost, each with what stops the watch
	// for its loss; and the end of what is waited for while there is one, which is kept
	// because another delivery may renew it.
	deliveries map[*broker.Delivery]func() bool
	waiting    context.Context //nolint:containedctx // see above
	land       context.CancelCauseFunc
}

// errLost is why a command that has not started stops waiting: its delivery has gone to somebody else.
var errLost = errors.New("the delivery is lost")

// renew needs Work.mu, or that nobody else knows the flight.
func (f *flight) renew(stop context.Context) {
	f.waiting, f.land = context.WithCancelCause(stop)
}

// adopt adds a delivery, and watches for its loss. Needs w.mu.
func (w *Work) adopt(ctx context.Context, f *flight, d *broker.Delivery) {
	f.deliveries[d] = context.AfterFunc(ctx, func() { w.lose(f, d) })
}

// lose drops a delivery; what has not started stops waiting when it was the last one.
func (w *Work) lose(f *flight, d *broker.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(f.deliveries, d)
	if len(f.deliveries) == 0 {
		f.land(errLost)
	}
}

// fly runs a command and settles it.
func (w *Work) fly(f *flight) {
	w.inFlight.Inc()
	defer w.inFlight.Dec()
	w.trace(f)
	defer f.span.End()
	for {
		w.mu.Lock()
		waiting := f.waiting
		w.mu.Unlock()
		verdict, err := w.cfg.Engine.Run(w.crew.all, waiting, f.command)
		switch {
		case err == nil:
			w.settle(f, verdict)
			return
		case !errors.Is(err, dispatch.ErrNotStarted):
			w.giveUp(f, err)
			return
		case !w.again(f):
			return
		}
	}
}

// trace begins the span of a command's time in this process; what comes of it goes on from there.
func (w *Work) trace(f *flight) {
	c := f.command
	came := tracing.Context(c.Trace)
	f.span = w.cfg.Tracer.Start(tracing.Consumer, "process command", came)
	c.Trace = envelope.Trace(f.span.Context(came))
	f.span.Set("cupline.tenant", c.Tenant)
	f.span.Set("cupline.client", c.Client)
	f.span.Set("cupline.device", c.Device)
	f.span.Set("cupline.lane", c.Lane)
	if f.span != nil {
		f.span.Set("cupline.command_id", c.ID.String())
	}
}

// settle publishes the verdict and acknowledges.
func (w *Work) settle(f *flight, v dispatch.Verdict) {
	failpoint.Pass(failpoint.AfterOutcome)
	if v.Letter != nil {
		f.span.Fail(string(v.Letter.Reason))
	}
	err := w.publish(f, v)
	switch {
	case err == nil:
		failpoint.Pass(failpoint.BeforeAck)
		w.cfg.Metrics.settled(w.cfg.Lane, v)
		w.leave(f, (*broker.Delivery).Ack)
	case errors.Is(err, broker.ErrInvalid):
		// Neither it nor a letter about it can be sent; the queue's own dead-lettering can.
		w.cfg.Log.Error("cannot publish what the command came to", append(fields(f.command), zap.String("reason", reasonOf(v)), zap.Error(err))...)
		w.leave(f, (*broker.Delivery).Reject)
	default:
		w.giveUp(f, err)
	}
}

func (w *Work) publish(f *flight, v dispatch.Verdict) error {
	switch {
	case v.Outcome != nil:
		return w.cfg.Sender.send(w.crew.all, v.Outcome.Message())
	case v.Letter != nil:
		return w.cfg.Sender.send(w.crew.all, envelope.Bury(f.message, *v.Letter))
	case v.Park:
		return w.park(f)
	}
	return nil
}

// park puts a command aside whose device is paused. Where too many wait already it ends, and says so: another lane's
// devices must not wait for it.
func (w *Work) park(f *flight) error {
	// What comes back is another message, which this flight must not adopt, and acknowledge with its own.
	w.mu.Lock()
	delete(w.flights, f.key)
	w.mu.Unlock()
	err := w.cfg.Sender.offer(w.crew.all, envelope.Park(f.message, f.command.Deadline.Sub(w.cfg.Now())))
	if !errors.Is(err, broker.ErrRefused) {
		return err
	}
	full := envelope.Verdict{Reason: outcome.DeviceBusy, Detail: "the device is paused, and too many commands wait for paused devices"}
	return w.cfg.Sender.send(w.crew.all, envelope.Bury(f.message, full))
}

// again is asked after a command's waiting ended before it was started. It is true when
// the command was delivered again in the meantime. Otherwise the flight is over: at
// shutdown its deliveries are handed back; a lost one has none.
func (w *Work) again(f *flight) bool {
	if w.crew.stopping() {
		w.leave(f, w.handBack)
		w.cfg.Metrics.returned.WithLabelValues(w.cfg.Lane).Inc()
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(f.deliveries) == 0 {
		delete(w.flights, f.key)
		f.land(nil)
		return false
	}
	f.renew(w.crew.waiting)
	return true
}

// giveUp ends a flight without a word to the broker, which delivers it again when the link is stopped.
func (w *Work) giveUp(f *flight, why error) {
	w.cfg.Log.Warn("command given up at shutdown", append(fields(f.command), zap.String("reason", "stopping"), zap.Error(why))...)
	w.cfg.Metrics.returned.WithLabelValues(w.cfg.Lane).Inc()
	w.leave(f, func(*broker.Delivery) {})
}

// leave ends a flight, and settles each of its deliveries.
func (w *Work) leave(f *flight, settle func(*broker.Delivery)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flights[f.key] == f { // else it was parked, and another may fly by now
		delete(w.flights, f.key)
	}
	f.land(nil)
	for d, unwatch := range f.deliveries {
		unwatch()
		settle(d)
	}
}

// reasonOf is the word of a verdict that is no device's answer; empty for one that is.
func reasonOf(v dispatch.Verdict) string {
	switch {
	case v.Letter != nil:
		return string(v.Letter.Reason)
	case v.Outcome != nil:
		return string(v.Outcome.Reason)
	}
	return ""
}

// fields name a command in a log line.
func fields(c *dispatch.Command) []zap.Field {
	return []zap.Field{
		zap.String("tenant", c.Tenant), zap.String("client", c.Client), zap.ByteString("id", c.Request.ID.Raw),
		zap.Stringer("command_id", c.ID), zap.String("device", c.Device), zap.String("lane", c.Lane), telemetry.TraceID(c.Trace.Parent),
	}
}
