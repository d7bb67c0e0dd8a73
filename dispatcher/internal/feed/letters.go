package feed

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// Recorder settles what ended without an answer; see recorder.Recorder.
type Recorder interface {
	// Settle returns, once it is durable, what the client is to be told; nil for nothing.
	// An error means that ctx ended.
	Settle(ctx context.Context, m *message.Message) (*envelope.Outcome, error)
}

// LettersConfig of the feed of dead letters.
type LettersConfig struct {
	// Prefetch is how many letters are in hand at once, those that are held included.
	Prefetch int
	Recorder Recorder
	Sender   *Sender
	Log      *zap.Logger
	Metrics  *Metrics
}

// Letters feeds dead letters to the recorder. Each delivery has a goroutine; the prefetch
// bounds them.
type Letters struct {
	cfg      LettersConfig
	crew     *crew
	consumer *broker.Consumer
}

// NewLetters makes the feed and registers its consumer on link. Register what declares the
// dead-letter queue before.
func NewLetters(link *broker.Link, cfg LettersConfig) *Letters {
	l := &Letters{cfg: cfg, crew: newCrew()}
	l.consumer = broker.NewConsumer(link, broker.ConsumerConfig{
		Queue: topology.DeadQueue, Prefetch: cfg.Prefetch, Handle: l.handle,
	})
	return l
}

// Stop takes no more letters and hands back those that are not settled: settling one
// again finds what was written.
func (l *Letters) Stop(ctx context.Context) error {
	paused := pause(ctx, l.consumer)
	if err := l.crew.end(ctx); err != nil {
		return fmt.Errorf("dead letters were given up: %w", errors.Join(err, paused))
	}
	return errors.Join(paused, l.consumer.Drain(ctx))
}

// handle is called in order, on the consumer's goroutine. ctx ends when d is lost.
func (l *Letters) handle(ctx context.Context, d *broker.Delivery) {
	if !l.crew.run(func() { l.settle(ctx, d) }) {
		d.Requeue()
	}
}

// settle has one letter settled, publishes and acknowledges. Whatever ends it half-way is
// made up for at the next delivery.
func (l *Letters) settle(ctx context.Context, d *broker.Delivery) {
	l.cfg.Metrics.letters.Inc()
	defer l.cfg.Metrics.letters.Dec()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(l.crew.waiting, func() { cancel(errStopping) })
	defer stop()
	told, err := l.cfg.Recorder.Settle(ctx, &d.Message)
	if err != nil {
		d.Requeue()
		return
	}
	failpoint.Pass(failpoint.AfterOutcome)
	if told != nil {
		err = l.cfg.Sender.send(l.crew.all, told.Message())
	}
	switch {
	case errors.Is(err, broker.ErrInvalid):
		// The letter is recorded; only its client cannot be addressed.
		l.cfg.Log.Error("cannot publish the outcome of a dead letter",
			zap.String("tenant", told.Tenant), zap.String("client", told.Client), zap.ByteString("id", outcomeID(told)),
			zap.Stringer("command_id", told.CommandID), zap.String("device", told.Device), zap.String("lane", told.Lane),
			zap.String("reason", string(told.Reason)), telemetry.TraceID(told.Trace.Parent), zap.Error(err))
	case err != nil:
		return
	case told != nil:
		l.cfg.Metrics.settled(RecorderLane, dispatch.Verdict{Outcome: told})
	}
	failpoint.Pass(failpoint.BeforeAck)
	d.Ack()
}

// outcomeID is the client's own id in an outcome; nil where it cannot be read.
func outcomeID(o *envelope.Outcome) []byte {
	response, err := jsonrpc.ParseResponse(o.Body)
	if err != nil {
		return nil
	}
	return response.ID
}
