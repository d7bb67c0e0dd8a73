package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
)

// Devices finds the devices of a command.
type Devices interface {
	// Find returns the device, or ErrNoDevice, or ErrPaused. Other errors are taken as temporary.
	Find(ctx context.Context, tenant, device string) (Target, error)
}

var (
	// ErrNoDevice tells that the device is not registered (any more).
	ErrNoDevice = errors.New("no such device")
	// ErrPaused tells that operators hold the device's commands back.
	ErrPaused = errors.New("the device is paused")
)

// Clock tells database time.
type Clock interface{ Now() time.Time }

// Gate is open while the broker takes messages.
type Gate interface {
	WaitReady(ctx context.Context) error
}

// Config of an Engine.
type Config struct {
	// Drivers by name.
	Drivers map[string]Driver
	Ledger  Ledger
	Devices Devices
	Clock   Clock
	Gate    Gate
	// Concurrency is how many commands execute at once. 1 or more.
	Concurrency int
	// DeviceLimit caps those of one device; past it a command ends as device_busy. 1 or more.
	DeviceLimit int
	// TenantLimit caps those of one tenant; past it a command waits a second for one of them to end, and then ends as
	// device_busy. 0 is half of Concurrency while another tenant uses the lane, and all of it for a tenant alone.
	TenantLimit int
	// MaxAnswer is the most bytes of a device's answer.
	MaxAnswer int
	// Tracer of calls; nil is off.
	Tracer  *tracing.Tracer
	Log     *zap.Logger
	Metrics *Metrics
}

// Engine executes commands. It is safe for concurrent use.
type Engine struct {
	cfg      Config
	slots    chan struct{}
	limits   *limits
	shares   *shares
	patience patience

	held        atomic.Int64
	heldChanged chan struct{} // holds one
}

// New makes an engine.
func New(cfg Config) *Engine {
	return &Engine{
		cfg:      cfg,
		slots:    make(chan struct{}, cfg.Concurrency),
		limits:   newLimits(cfg.DeviceLimit),
		shares:   newShares(cfg.Concurrency, cfg.TenantLimit),
		patience: patience{log: cfg.Log},

		heldChanged: make(chan struct{}, 1),
	}
}

// Held is how many commands wait, without a slot, for another worker's end.
func (e *Engine) Held() int { return int(e.held.Load()) }

// HeldChanged gets a value after Held has changed; several changes may be one value.
func (e *Engine) HeldChanged() <-chan struct{} { return e.heldChanged }

// Run brings one command to its verdict. It may take as long as the method's timeout,
// twice, and as long as the database or the broker is away.
//
// waiting bounds what comes before the command is started: the wait for a slot, for the
// broker, for another worker's end; when it ends the error is ErrNotStarted. ctx bounds
// all; when it ends the error is ErrInterrupted.
func (e *Engine) Run(ctx, waiting context.Context, c *Command) (Verdict, error) {
	run := &run{command: c, token: uuid.New(), mayHaveRun: c.Unledgered && c.Redelivered}
	for {
		// Again after each wait: it may have been paused, or have moved.
		if found, err := e.find(waiting, run); err != nil || found != nil {
			return orNone(found), err
		}
		verdict, until, err := e.attempt(ctx, waiting, run)
		if err != nil || until.IsZero() {
			return verdict, err
		}
		if err := e.hold(waiting, until); err != nil {
			return Verdict{}, err
		}
	}
}

// run is one command on its way through the engine.
type run struct {
	command *Command
	driver  Driver
	target  Target
	// token of this delivery's claim. One token serves for all attempts: only the one who
	// holds the row has it.
	token uuid.UUID
	// again is set once the command is started in another worker's place.
	again bool
	// mayHaveRun is set once it may have run before this run.
	mayHaveRun bool
	// crowded is set when its tenant has no room left.
	crowded bool
}

// find answers what is known without starting anything; a verdict when it cannot be run at all, or not now.
func (e *Engine) find(ctx context.Context, r *run) (*Verdict, error) {
	c := r.command
	r.driver = e.cfg.Drivers[c.Driver]
	if r.driver == nil {
		return undeliverable(fmt.Sprintf("no driver %q here", c.Driver)), nil
	}
	var known error
	err := e.patience.until(ctx, "find the device", func() (err error) {
		r.target, err = e.cfg.Devices.Find(ctx, c.Tenant, c.Device)
		if known = err; errors.Is(err, ErrNoDevice) || errors.Is(err, ErrPaused) {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return nil, notStarted(err)
	case errors.Is(known, ErrPaused):
		return e.paused(c), nil
	case known != nil:
		return undeliverable("the device is not registered"), nil
	}
	if err := r.driver.Check(r.target); err != nil {
		return undeliverable(err.Error()), nil
	}
	return nil, nil
}

// paused is the verdict on a command whose device is paused: it waits, without a claim, until its time is over. What the
// ledger says of it, if another worker has it, is told by whoever gets it next.
func (e *Engine) paused(c *Command) *Verdict {
	const detail = "the device is paused"
	switch {
	case c.Unledgered && c.Redelivered:
		// Once parked nobody would know any more that it may have run before.
		return &Verdict{Letter: &envelope.Verdict{Reason: outcome.WorkerLost, Detail: detail}}
	case !e.cfg.Clock.Now().Before(c.Deadline):
		return &Verdict{Letter: &envelope.Verdict{Reason: outcome.Expired, Detail: detail}}
	}
	return &Verdict{Park: true}
}

func orNone(v *Verdict) Verdict {
	if v == nil {
		return Verdict{}
	}
	return *v
}

func undeliverable(detail string) *Verdict {
	return &Verdict{Letter: &envelope.Verdict{Reason: outcome.Undeliverable, Detail: detail}}
}

func notStarted(why error) error { return fmt.Errorf("%w: %w", ErrNotStarted, why) }

func interrupted(why error) error { return fmt.Errorf("%w: %w", ErrInterrupted, why) }

// attempt takes a place of its tenant's and a slot, and in it claims and executes the command. A time
// means that another worker has it: try again then.
func (e *Engine) attempt(ctx, waiting context.Context, r *run) (Verdict, time.Time, error) {
	if err := e.enter(waiting, r); err != nil {
		return Verdict{}, time.Time{}, notStarted(err)
	}
	if !r.crowded {
		defer e.shares.leave(r.command.Tenant)
	}
	select {
	case e.slots <- struct{}{}:
	case <-waiting.Done():
		return Verdict{}, time.Time{}, notStarted(context.Cause(waiting))
	}
	defer func() { <-e.slots }()
	// A broker with an alarm takes neither the request to the device nor the outcome:
	// nothing is started that could not be ended.
	if err := e.cfg.Gate.WaitReady(waiting); err != nil {
		return Verdict{}, time.Time{}, notStarted(err)
	}
	if waiting.Err() != nil {
		return Verdict{}, time.Time{}, notStarted(context.Cause(waiting))
	}
	if r.command.Unledgered {
		verdict, err := e.execute(ctx, r, e.cfg.Clock.Now())
		return verdict, time.Time{}, err
	}
	return e.claim(ctx, r)
}

// enter waits for room for one more command of its tenant. While it waits it counts as held, so that commands of
// others are brought in past it.
func (e *Engine) enter(waiting context.Context, r *run) error {
	held := false
	entered, err := e.shares.enter(waiting, r.command.Tenant, func() {
		held = true
		e.countHeld(1)
	})
	if held {
		e.countHeld(-1)
	}
	r.crowded = !entered
	return err
}

// hold waits, without a slot, until that moment of database time.
func (e *Engine) hold(waiting context.Context, until time.Time) error {
	e.countHeld(1)
	defer e.countHeld(-1)
	if !sleep(waiting, until.Sub(e.cfg.Clock.Now())) {
		return notStarted(context.Cause(waiting))
	}
	return nil
}

func (e *Engine) countHeld(n int64) {
	e.held.Add(n)
	e.cfg.Metrics.held.Add(float64(n))
	select {
	case e.heldChanged <- struct{}{}:
	default: // told already
	}
}
