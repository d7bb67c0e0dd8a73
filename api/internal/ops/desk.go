// Package ops is what operators do: they send dead letters again, or let them go.
package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
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
}

// Publisher hands messages to the broker. Its errors are *intake.PublishError; any other counts as in doubt.
type Publisher interface {
	Publish(ctx context.Context, m message.Message) error
}

// Config of a Desk. All fields are required.
type Config struct {
	Letters   Letters
	Registry  intake.Registry
	Publisher Publisher
	Clock     intake.Clock
	// Ready is nil while the broker can be reached: nothing is taken up before.
	Ready func() error
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

// Redriven is what became of a redrive.
type Redriven struct {
	CommandID uuid.UUID
	Number    int
	// Pending redrives are committed to their command and not yet confirmed by the broker:
	// the very same command goes on being published until it is.
	Pending bool
}

// Redrive sends a letter's command again as a new one: DESIGN, section 8. One that may have been
// executed only with includeMaybe. Its error is a *problem.Problem, and says that the letter
// is as it was, and that no queue has the command.
func (d *Desk) Redrive(ctx context.Context, tenant string, letterID uuid.UUID, act deadletter.Act, includeMaybe bool) (Redriven, error) {
	letter, err := d.cfg.Letters.Get(ctx, tenant, letterID)
	if err != nil {
		return Redriven{}, Refusal(err)
	}
	if letter.State != deadletter.Open {
		return Redriven{}, Refusal(&deadletter.StateError{Letter: letter})
	}
	if letter.Executed != string(outcome.No) && !includeMaybe {
		return Redriven{}, problem.New(problem.MayHaveExecuted, "the device may have executed it: say include_maybe to send it all the same")
	}
	plan, key, err := d.plan(ctx, &letter)
	if err != nil {
		return Redriven{}, err
	}
	r, err := d.cfg.Letters.Begin(ctx, tenant, letterID, act, plan, key)
	if err != nil {
		return Redriven{}, Refusal(err)
	}
	// Committed: an operator who hangs up changes nothing any more.
	return d.finish(context.WithoutCancel(ctx), &r)
}

// plan checks that the command can be sent again today, with the policies of today.
func (d *Desk) plan(ctx context.Context, l *deadletter.Letter) (deadletter.Plan, []byte, error) {
	request, err := jsonrpc.ParseRequest(l.Payload)
	if err != nil || l.CommandID == uuid.Nil || l.Client == "" || l.Device == "" || l.Reason == string(outcome.Unrecordable) {
		return deadletter.Plan{}, nil, problem.New(problem.NotRedrivable, "it is no whole command, so there is nothing to send again")
	}
	target, err := d.cfg.Registry.Resolve(ctx, l.Tenant, l.Device)
	switch {
	case errors.Is(err, intake.ErrUnknownDevice):
		return deadletter.Plan{}, nil, problem.New(problem.DeviceGone, "device %s is no longer registered", l.Device)
	case errors.Is(err, intake.ErrRegistryUnavailable):
		return deadletter.Plan{}, nil, problem.From(problem.DatabaseUnavailable, err)
	case err != nil:
		return deadletter.Plan{}, nil, problem.From(problem.Internal, err)
	}
	policy := target.Type.Method(request.Method)
	switch {
	case !target.Lane.Allows(l.Tenant):
		return deadletter.Plan{}, nil, problem.New(problem.LaneUnavailable, "the lane of this device's type may not be used")
	case target.Lane.LedgerOff && !policy.Idempotent:
		return deadletter.Plan{}, nil, problem.New(problem.NotIdempotent, "lane %s keeps no ledger", target.Lane.Name).At("method")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return deadletter.Plan{}, nil, problem.From(problem.Internal, fmt.Errorf("make a command id: %w", err))
	}
	var key []byte
	if request.ID.Present() {
		key = []byte(request.ID.Key)
	}
	ttl := max(min(time.Duration(policy.TTL), target.Lane.MaxTTL).Truncate(time.Millisecond), time.Millisecond)
	return deadletter.Plan{
		CommandID: id, Lane: target.Lane.Name, DeviceType: target.Type.Name, Driver: target.Type.Driver,
		Idempotent: policy.Idempotent, Unledgered: target.Lane.LedgerOff, Timeout: time.Duration(policy.Timeout), TTL: ttl,
	}, key, nil
}

// finish publishes what was begun just now. What the broker is known not to have is given back.
func (d *Desk) finish(ctx context.Context, r *deadletter.Redrive) (Redriven, error) {
	done := Redriven{CommandID: r.CommandID, Number: r.Number}
	err := d.publish(ctx, r)
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	var failed *intake.PublishError
	switch {
	case err == nil:
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
		Trace: traceOf(r.Letter.Headers), Body: r.Letter.Payload,
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
		zap.Stringer("command_id", r.CommandID), zap.Stringer("letter_id", r.Letter.LetterID),
	}
}
