package recorder

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/dispatcher/internal/claims"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
)

// Store keeps dead letters; see deadletter.Store.
type Store interface {
	Settle(ctx context.Context, key ledger.Key, decide func(row *ledger.Row) deadletter.Resolution) (deadletter.Settled, error)
	Park(ctx context.Context, letter deadletter.Letter, entries ...audit.Entry) (uuid.UUID, bool, error)
}

// Clock tells database time.
type Clock interface{ Now() time.Time }

// Recorder settles dead letters. It is safe for concurrent use.
type Recorder struct {
	store   Store
	clock   Clock
	log     *zap.Logger
	metrics *Metrics
	tracer  *tracing.Tracer
	ended   func(lane string, e dispatch.Ending)
	outage  outage
}

// New makes a recorder. A nil tracer is off. ended counts the end of a command; the lanes that it is told are
// a bounded set.
func New(store Store, clock Clock, log *zap.Logger, metrics *Metrics, tracer *tracing.Tracer, ended func(lane string, e dispatch.Ending)) *Recorder {
	return &Recorder{store: store, clock: clock, log: log, metrics: metrics, tracer: tracer, ended: ended}
}

// Settle writes down what became of a message of the dead-letter queue, and returns, once
// that is durable, what its client is to be told: nil when there is nobody to tell, or
// nothing yet. It waits, as long as ctx lasts, for the database, and for a worker that may
// still be running the command. Its only error is the end of ctx; it may be called again
// for the same message at any time.
func (r *Recorder) Settle(ctx context.Context, m *message.Message) (*envelope.Outcome, error) {
	d := read(m)
	came := tracing.Context(d.command.Trace)
	span := r.tracer.Start(tracing.Consumer, "settle dead letter", came)
	defer span.End()
	d.command.Trace = envelope.Trace(span.Context(came))
	last, settled, err := r.settle(ctx, d)
	if errors.Is(err, store.ErrRefused) {
		if err := r.park(ctx, d, err); err != nil {
			return nil, err
		}
		last, settled, err = r.settle(ctx, d)
		if errors.Is(err, store.ErrRefused) {
			// Not even the decision can be stored: the client is told all the same.
			err = nil
		}
	}
	if err != nil {
		return nil, err
	}
	r.report(d, &last, &settled)
	if last.failure != nil {
		span.Fail(string(last.failure.Reason))
		span.Set("cupline.tenant", d.tenant())
		span.Set("cupline.executed", string(last.failure.Executed))
	}
	return d.tell(&last, settled.Row, r.clock.Now()), nil
}

// settle settles as often as it takes. Its errors are the end of ctx and store.ErrRefused,
// after which last is what was refused.
func (r *Recorder) settle(ctx context.Context, d *dead) (last resolution, settled deadletter.Settled, err error) {
	pause := firstPause
	for {
		settled, err = r.store.Settle(ctx, d.row(), func(row *ledger.Row) deadletter.Resolution {
			last = d.resolve(row, r.clock.Now())
			return last.Resolution
		})
		switch {
		case err == nil && settled.Hold > 0:
			err = r.hold(ctx, settled.Hold)
		case err == nil, errors.Is(err, store.ErrRefused):
			return last, settled, err
		default:
			r.outage.complain(r.log, err)
			err = wait(ctx, pause/2+rand.N(pause/2))
			pause = min(2*pause, longestPause)
		}
		if err != nil {
			return last, settled, err
		}
	}
}

// hold waits for the moment from which another worker counts as lost.
func (r *Recorder) hold(ctx context.Context, d time.Duration) error {
	r.metrics.held.Inc()
	defer r.metrics.held.Dec()
	return wait(ctx, d)
}

// park keeps a letter that the database refuses, raw, and makes it unrecordable from here on.
func (r *Recorder) park(ctx context.Context, d *dead, why error) error {
	r.log.Error("a dead letter cannot be stored; parked raw", append(d.fields(), zap.String("reason", string(outcome.Unrecordable)), zap.Error(why))...)
	d.letter.Reason, d.letter.Detail = outcome.Unrecordable, ""
	letter := d.keep(&outcome.Failure{Reason: outcome.Unrecordable, Executed: outcome.Maybe, Detail: why.Error()})
	letter.Outcome = nil
	letter.Digest = digest(d.message, letter.Properties, letter.Headers)
	pause := firstPause
	for {
		_, _, err := r.store.Park(ctx, letter, d.entry("unrecordable", string(outcome.Unrecordable), why.Error()))
		if err == nil {
			d.parked = true
			return nil
		}
		r.outage.complain(r.log, err)
		if err := wait(ctx, pause/2+rand.N(pause/2)); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

// tell is what the client gets: what the ledger says where it speaks, else what the letter means.
func (d *dead) tell(last *resolution, row *ledger.Row, now time.Time) *envelope.Outcome {
	if !d.answerable() {
		return nil
	}
	own := row != nil && row.CommandID == d.command.ID
	var decided *dispatch.Decided
	switch {
	case row != nil && (own || last.failure == nil):
		decided = claims.Decided(row)
	case last.failure != nil:
		decided = &dispatch.Decided{
			At: now, Origin: envelope.OriginPlatform, Reason: last.failure.Reason, Body: d.body(last.failure),
		}
	}
	if decided == nil {
		return nil
	}
	told := d.command.Outcome(decided)
	if told.Accepted.IsZero() {
		told.Accepted = decided.At // a malformed envelope does not say
	}
	return told
}

// report logs and counts a settlement, the first time.
func (r *Recorder) report(d *dead, last *resolution, settled *deadletter.Settled) {
	if last.repeated && !settled.Again {
		r.ended(r.metrics.lane(&d.command), dispatch.Ending{Word: dispatch.EndRepeated})
	}
	if last.failure == nil || settled.Again {
		return
	}
	reason := string(last.failure.Reason)
	r.metrics.settled.WithLabelValues(reason).Inc()
	r.ended(r.metrics.lane(&d.command), d.command.Ended(reason, r.clock.Now()))
	r.log.Info("command ended without an answer", append(d.fields(),
		zap.String("reason", reason), zap.String("executed", string(last.failure.Executed)),
		zap.String("detail", last.failure.Detail))...)
}

// fields name the command in a log line.
func (d *dead) fields() []zap.Field {
	c := &d.command
	return []zap.Field{
		zap.String("tenant", d.tenant()), zap.String("client", c.Client), zap.ByteString("id", c.Request.ID.Raw),
		zap.Stringer("command_id", c.ID), zap.String("device", c.Device), zap.String("lane", c.Lane), telemetry.TraceID(c.Trace.Parent),
	}
}
