// Package suite is one run of the fault suite: an installation of real processes, a load, a
// plan of faults, healing, and the check of the history.
package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/load"
	"github.com/cupline/cupline/verify/summary"
)

const (
	// raiseLimit bounds the start of everything, the first build of all that services are made of
	// included; healLimit and drainLimit what follows.
	raiseLimit = 8 * time.Minute
	healLimit  = 60 * time.Second
	drainLimit = 90 * time.Second
	lowerLimit = time.Minute
	// stuckLimit takes the place of drainLimit while the broker holds dead letters that it could not
	// pass on: it tries those again after 3 minutes.
	stuckLimit = 4 * time.Minute
	// stillness is how long nothing may come after all is drained: past what the broker's
	// figures are behind, and past a reply's time in a dead pusher's queue.
	stillness = 6 * time.Second
	look      = 500 * time.Millisecond
)

// Config of a run.
type Config struct {
	// Seed of the plan of faults and of the load.
	Seed uint64
	// Faults is for how long faults begin; 0 runs the load without any.
	Faults time.Duration
	// Each injects every kind of fault so many times, one after the other, and Every each on every kind of target once,
	// mixed; both instead of a mixture for the time Faults.
	Each  int
	Every bool
	// Only are the faults to be injected, and no others; nil for all.
	Only []schedule.Choice
	// Load is for how long the load runs when there are no faults.
	Load time.Duration
	// Rate is how many posts each of the ten clients makes in a second.
	Rate float64
	// Nodes of the broker; 0 is one. A cluster has an odd number.
	Nodes int
	// Folder takes the history (history.jsonl) and, while the run lasts, the installation.
	Folder string
	// Progress gets a line for each fault and step.
	Progress io.Writer
}

// event says what run this is.
func (c Config) event() history.Event {
	e := history.Event{Kind: history.Run, Name: strconv.FormatUint(c.Seed, 10), Count: max(c.Nodes, 1)}
	if c.Each > 0 {
		e.Detail = history.Alone
	}
	return e
}

// passing is how long a point may take to be passed.
func (c Config) passing() time.Duration {
	if c.Every {
		return passPatience
	}
	return passLimit
}

// speaker tells how the run goes, each line with the time since now. It is for concurrent use.
func speaker(out io.Writer) func(format string, values ...any) {
	began := time.Now()
	var speaking sync.Mutex
	return func(format string, values ...any) {
		speaking.Lock()
		defer speaking.Unlock()
		fmt.Fprintf(out, "%6.1fs "+format+"\n", append([]any{time.Since(began).Seconds()}, values...)...)
	}
}

// Run is one whole run. The error says that it could not be carried out; what it found is in
// the report.
func Run(ctx context.Context, cfg Config) (report summary.Report, err error) {
	say := speaker(cfg.Progress)
	log, err := history.Create(filepath.Join(cfg.Folder, "history.jsonl"))
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	log.Add(cfg.event())
	raising, cancel := context.WithTimeout(ctx, raiseLimit)
	defer cancel()
	say("seed %d: starting the installation", cfg.Seed)
	s, err := raise(raising, filepath.Join(cfg.Folder, "site"), max(cfg.Nodes, 1), log, say)
	defer func() {
		if err != nil || len(report.Violations) > 0 {
			s.Report(cfg.Progress)
		}
		lowering, cancel := context.WithTimeout(context.WithoutCancel(ctx), lowerLimit)
		defer cancel()
		err = errors.Join(err, s.lower(lowering))
	}()
	if err != nil {
		return report, err
	}
	s.passing = cfg.passing()
	if s.before, err = s.census(raising); err != nil {
		return report, err
	}
	l, err := s.load(raising, cfg, log)
	if l != nil {
		defer func() { err = errors.Join(err, l.Stop()) }()
	}
	if err != nil {
		return report, err
	}
	say("the load runs")
	in := &injector{log: log, say: say, breakers: s.breakers(), hold: s.hold}
	if err := in.carryOut(ctx, cfg, s.targets()); err != nil {
		return report, err
	}
	pause(ctx, cfg.Load)
	say("all is healed")
	if err := s.settle(ctx, l, log, say); err != nil {
		return report, err
	}
	events := log.Events()
	report = summary.Of(events)
	for scope, b := range report.Beside {
		say("99th percentile in calm %s of %d commands, beside faults of another %s %s of %d", b.Calm.Round(time.Millisecond), b.CalmCount,
			scope, b.During.Round(time.Millisecond), b.DuringCount)
	}
	if report.Executions == 0 {
		err = errors.New("devices executed nothing: the run shows nothing")
	}
	say("checked %d events: %d violations", len(events), len(report.Violations))
	return report, errors.Join(err, ctx.Err())
}

// settle waits until every service is ready and all is drained, ends the clients, and writes
// down what is left.
func (s *site) settle(ctx context.Context, l *load.Load, log *history.Log, say func(string, ...any)) error {
	var checks sync.WaitGroup
	for _, p := range s.parts {
		checks.Go(func() { log.Add(s.ready(ctx, p.name)) })
	}
	checks.Wait()
	say("all are ready")
	l.Calm()
	say("the load has ended")
	draining, cancel := context.WithTimeout(ctx, stuckLimit)
	defer cancel()
	last := s.drain(draining)
	l.Settle(draining, stillness)
	say("drained: %s", last)
	if err := l.Stop(); err != nil {
		return err
	}
	slots, err := s.retired(ctx)
	if err != nil {
		return err
	}
	bindings, err := s.unbound(ctx)
	if err != nil {
		return err
	}
	queues, err := s.queues(ctx)
	if err != nil {
		return err
	}
	for _, e := range slices.Concat(queues, bindings, slots) {
		log.Add(e)
	}
	if err := s.compare(ctx, log); err != nil {
		return err
	}
	return s.collect(ctx, log)
}

// ready waits for a process.
func (s *site) ready(ctx context.Context, name string) history.Event {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	began := time.Now()
	e := history.Event{Kind: history.Service, Name: name}
	if err := s.Service(name).WaitReady(ctx); err != nil {
		e.Detail = err.Error()
	}
	e.Took = time.Since(began)
	return e
}

// drain waits until nothing is unfinished, and says what is when ctx ends first.
func (s *site) drain(ctx context.Context) string {
	for began := time.Now(); ; {
		rows, queues, err := s.unfinished(ctx)
		waiting, stuck := 0, 0
		for _, q := range queues {
			waiting, stuck = waiting+q.Count, stuck+q.Stuck
		}
		state := fmt.Sprintf("%d rows, %d messages and %d dead letters of the broker left", rows, waiting, stuck)
		if err != nil {
			state = err.Error()
		}
		late := stuck == 0 && time.Since(began) > drainLimit
		if err == nil && rows+waiting+stuck == 0 || late || !pause(ctx, look) {
			return state
		}
	}
}

// unboundLimit is past the window in which a lost client stays bound, and a pusher's sweep.
const unboundLimit = 20 * time.Second

// unbound waits until no client is bound any more, and returns those that stay.
func (s *site) unbound(ctx context.Context) ([]history.Event, error) {
	waiting, cancel := context.WithTimeout(ctx, unboundLimit)
	defer cancel()
	for {
		left, err := s.bindings(ctx)
		if err != nil || len(left) == 0 || !pause(waiting, look) {
			return left, err
		}
	}
}
