package ops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store/deadletter"
)

// prepared is a redrive that nothing stands against.
type prepared struct {
	plan deadletter.Plan
	// key of the client's id in the ledger; nil for a one-way command.
	key     []byte
	changes []Change
}

// prepare checks that a letter's command can be sent again today, with the policies of today.
func (d *Desk) prepare(ctx context.Context, tenant string, letterID uuid.UUID, w Wish) (prepared, error) {
	l, err := d.cfg.Letters.Get(ctx, tenant, letterID)
	switch {
	case err != nil:
		return prepared{}, Refusal(err)
	case l.State != deadletter.Open:
		return prepared{}, Refusal(&deadletter.StateError{Letter: l})
	case l.Executed != string(outcome.No) && !w.IncludeMaybe:
		return prepared{}, problem.New(problem.MayHaveExecuted, "the device may have executed it: say include_maybe to send it all the same")
	case l.Redrive >= d.cfg.Guard && !w.IncludeHeld:
		return prepared{}, problem.New(problem.LetterHeld, "it is redrive %d that died: say include_held to send it once more", l.Redrive)
	}
	request, err := jsonrpc.ParseRequest(l.Payload)
	if err != nil || l.CommandID == uuid.Nil || l.Client == "" || l.Device == "" || l.Reason == string(outcome.Unrecordable) {
		return prepared{}, problem.New(problem.NotRedrivable, "it is no whole command, so there is nothing to send again")
	}
	p := prepared{}
	if w.Params != nil {
		if request, p.changes, err = edit(request, w.Params); err != nil {
			return prepared{}, err
		}
		p.plan.Edited = request.Body
	}
	target, err := d.target(ctx, &l, &request)
	if err != nil {
		return prepared{}, err
	}
	if request.ID.Present() {
		p.key = []byte(request.ID.Key)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return prepared{}, problem.From(problem.Internal, fmt.Errorf("make a command id: %w", err))
	}
	policy := target.Type.Method(request.Method)
	ttl := max(min(time.Duration(policy.TTL), target.Lane.MaxTTL).Truncate(time.Millisecond), time.Millisecond)
	p.plan.CommandID, p.plan.Lane, p.plan.DeviceType, p.plan.Driver = id, target.Lane.Name, target.Type.Name, target.Type.Driver
	p.plan.Idempotent, p.plan.Unledgered = policy.Idempotent, target.Lane.LedgerOff
	p.plan.Timeout, p.plan.TTL = time.Duration(policy.Timeout), ttl
	return p, nil
}

// target finds the device, and holds the request to its type's policies.
func (d *Desk) target(ctx context.Context, l *deadletter.Letter, request *jsonrpc.Request) (intake.Target, error) {
	target, err := d.cfg.Registry.Resolve(ctx, l.Tenant, l.Device)
	switch {
	case errors.Is(err, intake.ErrUnknownDevice):
		return target, problem.New(problem.DeviceGone, "device %s is no longer registered", l.Device)
	case errors.Is(err, intake.ErrRegistryUnavailable):
		return target, problem.From(problem.DatabaseUnavailable, err)
	case err != nil:
		return target, problem.From(problem.Internal, err)
	case !target.Lane.Allows(l.Tenant):
		return target, problem.New(problem.LaneUnavailable, "the lane of this device's type may not be used")
	}
	return target, d.cfg.Policies.Check(ctx, target, request)
}

// edit puts other params into a request.
func edit(r jsonrpc.Request, params []byte) (jsonrpc.Request, []Change, error) {
	edited, err := jsonrpc.ParseRequest(r.WithParams(params))
	if err != nil {
		return r, nil, problem.New(problem.InvalidRequest, "%s", err.Error()).At("params")
	}
	if len(edited.Body) > intake.MaxBody {
		return r, nil, problem.New(problem.InvalidRequest, "the request must be at most %d bytes with them", intake.MaxBody).At("params")
	}
	changes, err := differences(r.Params, edited.Params)
	if err != nil {
		return r, nil, problem.New(problem.InvalidRequest, "%s", err.Error()).At("params")
	}
	if len(changes) == 0 {
		return r, nil, problem.New(problem.InvalidRequest, "they are what the request has: leave them out").At("params")
	}
	return edited, changes, nil
}

// Differences says what a request's edited params changed; nothing where either is no request.
func Differences(old, edited []byte) []Change {
	before, err := jsonrpc.ParseRequest(old)
	if err != nil {
		return nil
	}
	after, err := jsonrpc.ParseRequest(edited)
	if err != nil {
		return nil
	}
	changes, _ := differences(before.Params, after.Params) // both were read
	return changes
}
