// Package lifecycle starts a process's parts in order and tears them down in reverse.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Group is the parts of a process, in the order of starting: sinks first (telemetry,
// database, broker), sources last (consumers, listeners), so that the teardown stops intake
// first and telemetry last. A group runs once.
type Group struct {
	log       *zap.Logger
	stopLimit time.Duration
	failed    chan error // holds the first failure

	mu      sync.Mutex // guards the rest
	steps   []step
	started int // of steps, those to be stopped
}

type step struct {
	name        string
	start, stop func(ctx context.Context) error
}

// New makes an empty group. stopLimit bounds the whole teardown, all steps together.
func New(log *zap.Logger, stopLimit time.Duration) *Group {
	return &Group{log: log, stopLimit: stopLimit, failed: make(chan error, 1)}
}

// Add appends a step; start or stop may be nil. What start began goes on after it has
// returned: its context is for starting only.
func (g *Group) Add(name string, start, stop func(ctx context.Context) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.steps = append(g.steps, step{name, start, stop})
}

// Fail makes Run end with err, for a part that dies while it runs. The first one counts.
func (g *Group) Fail(err error) {
	select {
	case g.failed <- err:
	default: // already failing
	}
}

// Start runs every start in order. When one fails, or ctx ends in between, those before it
// are stopped in reverse, and all errors are joined.
func (g *Group) Start(ctx context.Context) error {
	g.mu.Lock()
	steps := g.steps
	g.mu.Unlock()
	for i, s := range steps {
		err := ctx.Err()
		if err == nil && s.start != nil {
			err = s.start(ctx)
		}
		if err != nil {
			err = fmt.Errorf("start %s: %w", s.name, err)
			return errors.Join(err, g.Stop(ctx))
		}
		g.mu.Lock()
		g.started = i + 1
		g.mu.Unlock()
		g.log.Debug("started", zap.String("step", s.name))
	}
	return nil
}

// Stop runs the stops of what was started, in reverse, and joins their errors. All of them
// run, with one deadline; ctx's own end does not hurry them. Stopping twice is fine.
func (g *Group) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.stopLimit)
	defer cancel()
	g.mu.Lock()
	steps := g.steps[:g.started]
	g.started = 0
	g.mu.Unlock()
	var problems []error
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		if s.stop == nil {
			continue
		}
		began := time.Now()
		if err := s.stop(ctx); err != nil {
			problems = append(problems, fmt.Errorf("stop %s: %w", s.name, err))
		}
		g.log.Debug("stopped", zap.String("step", s.name), zap.Duration("took", time.Since(began)))
	}
	return errors.Join(problems...)
}

// Run starts everything, waits until ctx ends (nil) or a part fails (its error), and stops.
func (g *Group) Run(ctx context.Context) error {
	if err := g.Start(ctx); err != nil {
		return err
	}
	var failure error
	select {
	case <-ctx.Done():
		g.log.Info("stopping", zap.NamedError("because", context.Cause(ctx)))
	case failure = <-g.failed:
		g.log.Error("stopping after a failure", zap.Error(failure))
	}
	return errors.Join(failure, g.Stop(ctx))
}
