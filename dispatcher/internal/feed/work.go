package feed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

// Engine brings a command to its verdict; see dispatch.Engine.
type Engine interface {
	Run(ctx, waiting context.Context, c *dispatch.Command) (dispatch.Verdict, error)
	// Held is how many commands wait for another worker's end.
	Held() int
	// HeldChanged gets a value after Held has changed.
	HeldChanged() <-chan struct{}
}

// WorkConfig of a lane's feed.
type WorkConfig struct {
	Lane string
	// Concurrency is the prefetch, and should be the engine's: delivered means started,
	// and a crash leaves few in doubt.
	Concurrency int
	Engine      Engine
	// Gate is the lane's, as operators have set it.
	Gate Gate
	// Now tells database time.
	Now    func() time.Time
	Sender *Sender
	// Tracer of commands; nil is off.
	Tracer  *tracing.Tracer
	Log     *zap.Logger
	Metrics *Metrics
}

// Work feeds one lane's commands to an engine. Each delivery has a goroutine; the
// prefetch bounds them.
type Work struct {
	cfg      WorkConfig
	crew     *crew
	consumer *broker.Consumer
	valve    *valve
	inFlight prometheus.Gauge
	// cancelled is set once the broker has heard that no more commands are wanted here:
	// what is handed back before would come straight back, and each time is counted.
	cancelled atomic.Bool

	mu      sync.Mutex // guards the rest
	flights map[flightKey]*flight
}

// flightKey tells whether two deliveries are the same command: the command id, and
// everything that it says who is, so that garbage cannot borrow another's id.
type flightKey struct {
	id             uuid.UUID
	tenant, client string
	digest         [sha256.Size]byte
}

// NewWork makes the feed and registers its consumer on link. Register what declares the
// lane's queue before.
func NewWork(link *broker.Link, cfg WorkConfig) *Work {
	w := &Work{
		cfg: cfg, crew: newCrew(), flights: make(map[flightKey]*flight),
		inFlight: cfg.Metrics.inFlight.WithLabelValues(cfg.Lane),
	}
	consume := broker.ConsumerConfig{
		Queue: topology.WorkQueue(cfg.Lane), Prefetch: cfg.Concurrency, Handle: w.handle,
	}
	w.consumer = broker.NewConsumer(link, consume)
	w.valve = newValve(w.consumer, broker.NewConsumer(link, consume), &cfg)
	cfg.Metrics.slots.WithLabelValues(cfg.Lane).Set(float64(cfg.Concurrency))
	return w
}

// Start makes ready for commands. It is called before the link is started, which brings them.
func (w *Work) Start(ctx context.Context) error {
	if err := pause(ctx, w.consumer, w.valve.overflow); err != nil {
		return err
	}
	w.crew.run(func() { w.valve.watch(w.crew.waiting) })
	return nil
}

// Stop takes no more commands, hands back those that have not started, lets the others
// finish until ctx ends, and gives up what then still runs: the ledger knows of it, and
// the broker delivers it again once the link is stopped.
func (w *Work) Stop(ctx context.Context) error {
	paused := pause(ctx, w.consumer, w.valve.overflow)
	w.cancelled.Store(paused == nil)
	if err := w.crew.end(ctx); err != nil {
		return fmt.Errorf("lane %s: commands were given up: %w", w.cfg.Lane, errors.Join(err, paused))
	}
	return errors.Join(paused, w.consumer.Drain(ctx), w.valve.overflow.Drain(ctx))
}

// handle is called in order, on the consumer's goroutine. ctx ends when d is lost.
func (w *Work) handle(ctx context.Context, d *broker.Delivery) {
	c, err := dispatch.Read(&d.Message)
	if err == nil && c.Lane != w.cfg.Lane {
		err = fmt.Errorf("routing key: a command of lane %s on lane %s", c.Lane, w.cfg.Lane)
	}
	if err != nil {
		if !w.crew.run(func() { w.bury(d, err) }) {
			w.handBack(d)
		}
		return
	}
	c.Redelivered = d.Redelivered
	key := flightKey{id: c.ID, tenant: c.Tenant, client: c.Client, digest: c.Digest}
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.flights[key]; f != nil {
		w.adopt(ctx, f, d)
		w.cfg.Metrics.adopted.WithLabelValues(w.cfg.Lane).Inc()
		return
	}
	f := &flight{key: key, command: c, message: d.Message, deliveries: make(map[*broker.Delivery]func() bool, 1)}
	f.renew(w.crew.waiting)
	if !w.crew.run(func() { w.fly(f) }) {
		w.handBack(d) // stopping: it came before the broker heard so
		return
	}
	w.flights[key] = f
	w.adopt(ctx, f, d)
}

// handBack returns a delivery that was not started, at shutdown. Without it the broker
// takes it back when the link is stopped.
func (w *Work) handBack(d *broker.Delivery) {
	if w.cancelled.Load() {
		d.Requeue()
	}
}

// bury gives a message that is no command of this lane to the recorder, as it came.
func (w *Work) bury(d *broker.Delivery, why error) {
	verdict := dispatch.Verdict{Letter: &envelope.Verdict{Reason: outcome.Undeliverable, Detail: why.Error()}}
	switch err := w.cfg.Sender.send(w.crew.all, envelope.Bury(d.Message, *verdict.Letter)); {
	case err == nil:
		w.cfg.Metrics.settled(w.cfg.Lane, verdict)
		d.Ack()
	case errors.Is(err, broker.ErrInvalid):
		// It came over AMQP, but cannot go again; the queue's own dead-lettering takes it.
		d.Reject()
	}
}
