// Package intake accepts commands: it finds the device, checks the request against its
// type's policies, publishes it, and tells what became of it. Accepted means safe: the
// broker has confirmed it on a quorum queue.
//
// Here lives the api's domain: nothing in it knows HTTP, SQL or AMQP.
package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// MaxBody is the longest request, in bytes.
const MaxBody = 64 << 10

// Target is a device with everything that a command for it needs.
type Target struct {
	Device device.Device
	// Type is shared and never changed.
	Type *device.Type
	// TypeVersion changes whenever the type is put anew, and never comes back.
	TypeVersion int64
	Lane        topology.Lane
}

// What a Registry may answer; any other error counts as a fault.
var (
	ErrUnknownDevice       = errors.New("unknown device")
	ErrRegistryUnavailable = errors.New("the registry cannot be asked")
)

// Registry finds devices.
type Registry interface {
	// Resolve returns ErrUnknownDevice or ErrRegistryUnavailable, wrapped or not.
	Resolve(ctx context.Context, tenant, device string) (Target, error)
}

// Publisher hands messages to the broker. Its errors are *PublishError; any other counts as in doubt.
type Publisher interface {
	// Publish returns nil once the broker has the message safe.
	Publish(ctx context.Context, m message.Message) error
	// Submit is Publish that does not wait: done is called exactly once, never on the
	// caller's own stack. It may wait for room.
	Submit(ctx context.Context, m message.Message, done func(error))
}

// Quota knows which clients' mailboxes are full.
type Quota interface {
	Full(tenant, client string) bool
}

// Rates limits how many commands a client sends, and a device gets.
type Rates interface {
	// Take takes n of them, or tells after how long they may come again.
	Take(now time.Time, tenant, client, device string, n int) (after time.Duration, ok bool)
}

// Clock tells database time.
type Clock interface {
	Now() time.Time
}

// Observer counts what became of commands.
type Observer interface {
	Accepted(tenant, lane string)
	// NotAccepted counts a refusal, or, by its code, a command in doubt.
	NotAccepted(tenant string, code problem.Code)
}

// Config of an Intake. All fields are required but the last three.
type Config struct {
	Registry  Registry
	Publisher Publisher
	Quota     Quota
	Clock     Clock
	Observer  Observer
	// Rates may be nil: no limit.
	Rates Rates
	// PublishTimeout bounds the wait for the broker's confirm; past it a command that was
	// sent is in doubt. Default 5 s.
	PublishTimeout time.Duration
	// Schemas is the most compiled JSON Schemas kept, one for each method that has one. Default 10,000.
	Schemas int
}

const (
	defaultPublishTimeout = 5 * time.Second
	defaultSchemas        = 10_000
)

// Intake accepts commands. It is safe for concurrent use.
type Intake struct {
	cfg     Config
	schemas *schemas
}

// New makes an intake.
func New(cfg Config) *Intake {
	if cfg.PublishTimeout <= 0 {
		cfg.PublishTimeout = defaultPublishTimeout
	}
	if cfg.Schemas <= 0 {
		cfg.Schemas = defaultSchemas
	}
	return &Intake{cfg: cfg, schemas: newSchemas(cfg.Schemas)}
}

// Post is what came in.
type Post struct {
	Tenant string
	Client string
	Device string
	// Reach of the key that posts: a device beyond it is one that does not exist.
	Reach device.Reach
	// Body is kept until the broker confirmed it, and must not be changed.
	Body []byte
	// TTL the client asked for; 0 leaves it to the method's policy.
	TTL   time.Duration
	Trace envelope.Trace
}

// Result is what became of one command of a post.
type Result struct {
	// ID is the client's own, as one JSON value; nil for a one-way command.
	ID        []byte
	CommandID uuid.UUID
	Expires   time.Time
	// Problem is nil when the command was accepted. Its code is problem.InDoubt when nobody can say.
	Problem *problem.Problem
}

// Accept takes a post. The error is a *problem.Problem, and says that nothing was published;
// without one there is a result for each request, in order. batch tells whether the
// body was an array.
func (in *Intake) Accept(ctx context.Context, p Post) (results []Result, batch bool, err error) {
	requests, batch, err := parse(p.Body)
	if err == nil {
		results, err = in.accept(ctx, p, requests, batch)
	}
	if err != nil {
		found := asProblem(err)
		if !batch && found.ID == nil && len(requests) == 1 {
			found.ID = requests[0].ID.Raw
		}
		in.cfg.Observer.NotAccepted(p.Tenant, found.Code)
		return nil, batch, found
	}
	return results, batch, nil
}

func (in *Intake) accept(ctx context.Context, p Post, requests []jsonrpc.Request, batch bool) ([]Result, error) {
	if in.cfg.Quota.Full(p.Tenant, p.Client) {
		return nil, problem.New(problem.MailboxFull, "read and ack this client's waiting outcomes first")
	}
	target, err := in.find(ctx, p)
	if err != nil {
		return nil, err
	}
	if in.cfg.Rates != nil {
		// By this machine's clock: a rate is a difference, which no other clock may bend.
		if after, ok := in.cfg.Rates.Take(time.Now(), p.Tenant, p.Client, p.Device, len(requests)); !ok {
			limited := problem.New(problem.RateLimited, "commands of this client, or for this device")
			limited.RetryAfter = after
			return nil, limited
		}
	}
	for i := range requests {
		if err := in.check(target, &requests[i]); err != nil {
			if batch {
				err.Index = i
			}
			err.ID = requests[i].ID.Raw
			return nil, err
		}
	}
	now := in.cfg.Clock.Now().UTC().Truncate(time.Millisecond)
	commands := make([]envelope.Command, len(requests))
	for i := range requests {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, problem.From(problem.Internal, fmt.Errorf("make a command id: %w", err))
		}
		write(&commands[i], p, target, &requests[i], id, now)
	}
	return in.publish(ctx, now, commands, requests), nil
}

func (in *Intake) find(ctx context.Context, p Post) (Target, error) {
	if !topology.ValidID(p.Device) {
		return Target{}, problem.New(problem.UnknownDevice, "")
	}
	target, err := in.cfg.Registry.Resolve(ctx, p.Tenant, p.Device)
	switch {
	case err == nil:
	case errors.Is(err, ErrUnknownDevice):
		return Target{}, problem.New(problem.UnknownDevice, "")
	case errors.Is(err, ErrRegistryUnavailable):
		return Target{}, problem.From(problem.DatabaseUnavailable, err)
	default:
		return Target{}, problem.From(problem.Internal, err)
	}
	if !p.Reach.Covers(p.Device, target.Device.Labels) {
		return Target{}, problem.New(problem.UnknownDevice, "")
	}
	if !target.Lane.Allows(p.Tenant) {
		return Target{}, problem.New(problem.LaneUnavailable, "the lane of this device's type may not be used")
	}
	return target, nil
}

// write fills in a command that was checked.
func write(c *envelope.Command, p Post, t Target, r *jsonrpc.Request, id uuid.UUID, now time.Time) {
	policy := t.Type.Method(r.Method)
	ttl := time.Duration(policy.TTL)
	if p.TTL > 0 {
		ttl = p.TTL
	}
	ttl = max(min(ttl, t.Lane.MaxTTL).Truncate(time.Millisecond), time.Millisecond)
	*c = envelope.Command{
		Lane: t.Lane.Name, Tenant: p.Tenant, Device: p.Device, Client: p.Client, ID: id,
		DeviceType: t.Type.Name, Driver: t.Type.Driver,
		Idempotent: policy.Idempotent, Timeout: time.Duration(policy.Timeout), Unledgered: t.Lane.LedgerOff,
		Accepted: now, Deadline: now.Add(ttl),
		Trace: p.Trace, Body: r.Body,
	}
}

func asProblem(err error) *problem.Problem {
	var found *problem.Problem
	if errors.As(err, &found) {
		return found
	}
	return problem.From(problem.Internal, err)
}
