// Package ops is what operators do: they send dead letters again, or let them go.
package ops

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/store/deadletter"
)

// Letters is what is needed of a deadletter.Store.
type Letters interface {
	Get(ctx context.Context, tenant string, letterID uuid.UUID) (deadletter.Letter, error)
	Begin(ctx context.Context, tenant string, letterID uuid.UUID, act deadletter.Act, plan deadletter.Plan, key []byte) (deadletter.Redrive, error)
	Confirm(ctx context.Context, r *deadletter.Redrive) error
	Revert(ctx context.Context, r *deadletter.Redrive, why string) error
	TakeUp(ctx context.Context, limit int) ([]deadletter.Redrive, error)
	Discard(ctx context.Context, tenant string, letterID uuid.UUID, act deadletter.Act) (deadletter.Letter, error)
	Undo(ctx context.Context, tenant string, letterID uuid.UUID, act deadletter.Act) (deadletter.Letter, error)
}

// Publisher hands messages to the broker. Its errors are *intake.PublishError; any other counts as in doubt.
type Publisher interface {
	Publish(ctx context.Context, m message.Message) error
}

// Policies hold a request to its device type's policies of today. The error is a *problem.Problem.
type Policies interface {
	Check(ctx context.Context, t intake.Target, r *jsonrpc.Request) error
}

// Config of a Desk. All fields are required.
type Config struct {
	Letters   Letters
	Registry  intake.Registry
	Policies  Policies
	Publisher Publisher
	Clock     intake.Clock
	// Ready is nil while the broker can be reached: nothing is taken up before.
	Ready func() error
	// Guard is how often a letter's command may have died again before the letter is held. 1 or more.
	Guard int
	// Redriven counts a redrive that is confirmed and noted.
	Redriven func(tenant, lane string)
	// Tracer of redrives; nil is off.
	Tracer *tracing.Tracer
	Log    *zap.Logger
}

// Desk acts on dead letters. It is safe for concurrent use.
type Desk struct{ cfg Config }

// New makes a desk.
func New(cfg Config) *Desk { return &Desk{cfg: cfg} }

// publishLimit bounds the wait for the broker's confirm of a redrive; it is well within deadletter.Lease.
const publishLimit = 5 * time.Second

// writeLimit bounds each write after the publish: what it does not note is taken up later.
const writeLimit = 5 * time.Second

// Wish is what an operator says beside "send it again".
type Wish struct {
	// IncludeMaybe sends also what may have been executed, IncludeHeld what has died again and again.
	IncludeMaybe, IncludeHeld bool
	// Params take the place of the request's own: a JSON object or array; nil leaves them.
	Params []byte
}

// Redriven is what became of a redrive.
type Redriven struct {
	CommandID uuid.UUID
	Number    int
	// Pending redrives are committed to their command and not yet confirmed by the broker:
	// the very same command goes on being published until it is.
	Pending bool
	// Changes that edited params make.
	Changes []Change
	// Lasts is how long the command may wait and then run.
	Lasts time.Duration
}

// Redrive sends a letter's command again as a new one: DESIGN, section 8. Its error is a *problem.Problem, and says
// that the letter is as it was, and that no queue has the command.
func (d *Desk) Redrive(ctx context.Context, tenant string, letterID uuid.UUID, act deadletter.Act, w Wish) (Redriven, error) {
	p, err := d.prepare(ctx, tenant, letterID, w)
	if err != nil {
		return Redriven{}, err
	}
	p.plan.Change = summary(p.changes)
	r, err := d.cfg.Letters.Begin(ctx, tenant, letterID, act, p.plan, p.key)
	if err != nil {
		return Redriven{}, Refusal(err)
	}
	// Committed: an operator who hangs up changes nothing any more.
	done, err := d.finish(context.WithoutCancel(ctx), &r)
	done.Changes, done.Lasts = p.changes, p.plan.Lasts()
	return done, err
}

// Preview says what Redrive would change in the request, and refuses what it would refuse. It does nothing.
func (d *Desk) Preview(ctx context.Context, tenant string, letterID uuid.UUID, w Wish) ([]Change, error) {
	p, err := d.prepare(ctx, tenant, letterID, w)
	return p.changes, err
}

// finish publishes what was begun just now. What the broker is known not to have is given back.
func (d *Desk) finish(ctx context.Context, r *deadletter.Redrive) (Redriven, error) {
	done := Redriven{CommandID: r.CommandID, Number: r.Number}
	failpoint.Pass(failpoint.BeforeRedrive)
	err := d.publish(ctx, r)
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	var failed *intake.PublishError
	switch {
	case err == nil:
		failpoint.Pass(failpoint.AfterRedrive)
		if err := d.confirm(ctx, r); err != nil {
			d.cfg.Log.Warn("a redrive is not noted yet", append(fields(r), zap.Error(err))...)
			done.Pending = true
		}
		return done, nil
	case errors.As(err, &failed) && failed.Fate != intake.InDoubt:
		if err := d.cfg.Letters.Revert(ctx, r, failed.Error()); err != nil {
			// It stays committed, and is published when it is taken up.
			d.cfg.Log.Warn("a redrive is not given back", append(fields(r), zap.Error(err))...)
			done.Pending = true
			return done, nil
		}
		return Redriven{}, problem.From(failed.Fate.Code(), err)
	}
	done.Pending = true
	return done, nil
}

// confirm notes that the broker has a redrive.
func (d *Desk) confirm(ctx context.Context, r *deadletter.Redrive) error {
	if err := d.cfg.Letters.Confirm(ctx, r); err != nil {
		return err
	}
	d.cfg.Redriven(r.Letter.Tenant, r.Lane)
	return nil
}

func (d *Desk) publish(ctx context.Context, r *deadletter.Redrive) error {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	now := d.cfg.Clock.Now().UTC().Truncate(time.Millisecond)
	command := Command(r, now)
	came := tracing.Context(command.Trace)
	span := d.cfg.Tracer.StartLinked(tracing.Producer, "redrive", came)
	defer span.End()
	span.Set("cupline.tenant", command.Tenant)
	span.Set("cupline.command_id", command.ID.String())
	span.Set("cupline.redrive_of", command.RedriveOf.String())
	command.Trace = envelope.Trace(span.Context(came))
	err := d.cfg.Publisher.Publish(ctx, command.Message(now))
	if err != nil {
		span.Fail(err.Error())
	}
	return err
}

// Command is the new command: same client, same bytes, its own command id, linked to the old one,
// with a fresh time-to-live. Nothing of the old envelope comes along but the trace, which a
// redrive links to, or goes on with where tracing is off.
func Command(r *deadletter.Redrive, now time.Time) envelope.Command {
	return envelope.Command{
		Lane: r.Lane, Tenant: r.Letter.Tenant, Device: r.Letter.Device, Client: r.Letter.Client, ID: r.CommandID,
		Redrive: r.Number, RedriveOf: r.Letter.CommandID, DeviceType: r.DeviceType, Driver: r.Driver,
		Idempotent: r.Idempotent, Timeout: r.Timeout, Unledgered: r.Unledgered, Accepted: now, Deadline: now.Add(r.TTL),
		Trace: traceOf(r.Letter.Headers), Body: r.Body(),
	}
}

// traceOf reads the trace from a letter's headers; empty where there is none that can be read.
func traceOf(headers []byte) envelope.Trace {
	var told struct {
		Parent any `json:"traceparent"`
		State  any `json:"tracestate"`
	}
	if json.Unmarshal(headers, &told) != nil {
		return envelope.Trace{}
	}
	parent, _ := told.Parent.(string)
	state, _ := told.State.(string)
	return envelope.Trace{Parent: parent, State: state}
}

// Discard lets a letter go. Its error is a *problem.Problem, and says that nothing was changed.
func (d *Desk) Discard(ctx context.Context, tenant string, letterID uuid.UUID, act deadletter.Act) (deadletter.Letter, error) {
	l, err := d.cfg.Letters.Discard(ctx, tenant, letterID, act)
	if err != nil {
		return deadletter.Letter{}, Refusal(err)
	}
	return l, nil
}

// Undo opens a discarded letter again. Its error is a *problem.Problem, and says that nothing was changed.
func (d *Desk) Undo(ctx context.Context, tenant string, letterID uuid.UUID, act deadletter.Act) (deadletter.Letter, error) {
	l, err := d.cfg.Letters.Undo(ctx, tenant, letterID, act)
	var state *deadletter.StateError
	if errors.As(err, &state) && state.Letter.State == deadletter.Discarded {
		return deadletter.Letter{}, problem.New(problem.LetterState, "it was discarded more than %s ago, or is erased", deadletter.UndoLimit)
	}
	if err != nil {
		return deadletter.Letter{}, Refusal(err)
	}
	return l, nil
}

// Refusal turns what the store says into the word for it, where there is one.
func Refusal(err error) error {
	var state *deadletter.StateError
	switch {
	case errors.Is(err, deadletter.ErrNotFound):
		return problem.New(problem.UnknownLetter, "no such letter, or another tenant's")
	case errors.As(err, &state):
		l := &state.Letter
		if l.ChangedBy == "" {
			return problem.New(problem.LetterState, "the letter is %s", l.State)
		}
		return problem.New(problem.LetterState, "the letter is %s since %s, by %s", l.State, l.Changed.Format(time.RFC3339), l.ChangedBy)
	}
	return err
}

func fields(r *deadletter.Redrive) []zap.Field {
	return []zap.Field{
		zap.String("tenant", r.Letter.Tenant), zap.String("client", r.Letter.Client), zap.ByteString("id", r.Letter.ID),
		zap.Stringer("command_id", r.CommandID), zap.Stringer("letter_id", r.Letter.LetterID), zap.String("device", r.Letter.Device),
		zap.String("lane", r.Letter.Lane), zap.String("reason", r.Letter.Reason),
	}
}
