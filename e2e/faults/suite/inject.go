package suite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/cupline/cupline/e2e/faults/link"
	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/verify/history"
)

// injector breaks and heals what a plan says.
type injector struct {
	log *history.Log
	say func(format string, values ...any)
	// breakers by action.
	breakers map[schedule.Action]breaker

	// hold something that is to be broken, until the function that is returned is called.
	hold func(name string) func()

	mu   sync.Mutex // guards errs
	errs []error
}

// carryOut injects what is to be injected into these targets, and returns when all is healed.
func (i *injector) carryOut(ctx context.Context, cfg Config, targets []schedule.Target) error {
	switch {
	case cfg.Each > 0:
		return i.each(ctx, schedule.Each(cfg.Seed, targets, cfg.Only, cfg.Each))
	case cfg.Every:
		return i.run(ctx, schedule.Every(cfg.Seed, targets, cfg.Only))
	}
	return i.run(ctx, schedule.Draw(cfg.Seed, targets, cfg.Faults, cfg.Only))
}

// run carries out the plan, and returns when all that it broke is healed.
func (i *injector) run(ctx context.Context, plan []schedule.Fault) error {
	began := time.Now()
	var faults sync.WaitGroup
	for _, f := range plan {
		if !pause(ctx, f.At-time.Since(began)) {
			break
		}
		faults.Go(func() { i.inject(ctx, f) })
	}
	faults.Wait()
	return errors.Join(i.errs...)
}

// alone is how long is waited after each of the faults that come one after the other, so that none has another's company, nor the
// backlog that it left.
const alone = 12 * time.Second

// each carries out a plan one fault after the other.
func (i *injector) each(ctx context.Context, plan []schedule.Fault) error {
	for _, f := range plan {
		if !pause(ctx, alone) {
			break
		}
		i.inject(ctx, f)
	}
	return errors.Join(i.errs...)
}

// inject is one fault from its beginning to its end. A target whose last fault took longer
// to heal than planned is broken when it is whole again.
func (i *injector) inject(ctx context.Context, f schedule.Fault) {
	defer i.hold(f.Of)()
	began := time.Now()
	i.say("%s %s for %s", f.Action, f.Target, f.For)
	err := i.breakers[f.Action](ctx, f)
	if errors.Is(err, errNotMet) {
		i.say("%s %s: %v", f.Action, f.Target, err)
		return
	}
	e := history.Event{At: began, Kind: history.Fault, Name: f.Target, Of: f.Kind, Detail: string(f.Action), Took: time.Since(began)}
	i.log.Add(belongs(e))
	i.mu.Lock()
	defer i.mu.Unlock()
	if err != nil {
		i.errs = append(i.errs, fmt.Errorf("%s: %w", f, err))
	}
}

// holds are of things that are being broken, each by one fault at a time. A fault of several
// things holds those in the order of site.parts.
type holds struct {
	mu   sync.Mutex // guards held
	held map[string]*sync.Mutex
}

func (h *holds) hold(name string) (release func()) {
	h.mu.Lock()
	if h.held[name] == nil {
		h.held[name] = &sync.Mutex{}
	}
	thing := h.held[name]
	h.mu.Unlock()
	thing.Lock()
	return thing.Unlock
}

// breaker breaks a target as a fault says, and has healed it when it returns.
type breaker func(ctx context.Context, f schedule.Fault) error

// breakers by action. Each file that knows how to break something has a table of its own.
func (s *site) breakers() map[schedule.Action]breaker {
	all := map[schedule.Action]breaker{}
	for _, some := range []map[schedule.Action]breaker{
		s.processBreakers(), s.clusterBreakers(), s.partitionBreakers(), s.pointBreakers(), s.clockBreakers(), s.linkBreakers(), s.databaseBreakers(), s.brokerBreakers(), s.fleetBreakers(),
	} {
		maps.Copy(all, some)
	}
	return all
}

// processBreakers end or hold processes: services, nodes of the broker, the database.
func (s *site) processBreakers() map[schedule.Action]breaker {
	return map[schedule.Action]breaker{schedule.Kill: s.crash, schedule.End: s.crash, schedule.Pause: s.freeze}
}

func (s *site) freeze(ctx context.Context, f schedule.Fault) error {
	if node := s.nodes[f.Target]; node != nil {
		return still(ctx, f, node.Pause, node.Resume)
	}
	return still(ctx, f, func() error { return s.Pause(f.Target) }, func() error { return s.Resume(f.Target) })
}

func (s *site) crash(ctx context.Context, f schedule.Fault) error {
	if node := s.nodes[f.Target]; node != nil {
		return down(ctx, f, node.Kill, node.Stop, node.Start)
	}
	if f.Target == database {
		return down(ctx, f, s.Database.Kill, s.Database.Stop, s.Database.Start)
	}
	kill := func() error { return s.Kill(f.Target) }
	end := func(ctx context.Context) error { return s.End(ctx, f.Target) }
	return down(ctx, f, kill, end, func(context.Context) error { return s.relaunch(f.Target, nil) })
}

// linkBreakers break links.
func (s *site) linkBreakers() map[schedule.Action]breaker {
	mode := func(m link.Mode) breaker {
		return func(ctx context.Context, f schedule.Fault) error {
			s.links[f.Target].Set(m)
			pause(ctx, f.For)
			s.links[f.Target].Set(link.Whole)
			return nil
		}
	}
	return map[schedule.Action]breaker{
		schedule.CutLink: func(_ context.Context, f schedule.Fault) error {
			s.links[f.Target].Cut()
			return nil
		},
		schedule.LoseAnswers: func(ctx context.Context, f schedule.Fault) error {
			l := s.links[f.Target]
			l.Set(link.Mute)
			pause(ctx, f.For)
			l.Cut() // before a late answer comes through
			l.Set(link.Whole)
			return nil
		},
		schedule.TenantStuck: s.stickTenant, schedule.LaneStuck: s.stickLane,
		schedule.RefuseLink: mode(link.Refused), schedule.HalfOpenLink: mode(link.HalfOpen),
		schedule.SlowLink: mode(link.Slow), schedule.TrickleLink: mode(link.Trickle),
	}
}

// still holds something for a while.
func still(ctx context.Context, f schedule.Fault, hold, resume func() error) error {
	if err := hold(); err != nil {
		return err
	}
	pause(ctx, f.For)
	return resume()
}

// down ends something, by force or in order, and starts it again.
func down(ctx context.Context, f schedule.Fault, kill func() error, end, start func(context.Context) error) error {
	// What was begun is brought to its end whatever becomes of the run.
	whole := context.WithoutCancel(ctx)
	var err error
	if f.Action == schedule.Kill {
		err = kill()
	} else {
		err = end(whole)
	}
	if err != nil {
		return err
	}
	pause(ctx, f.For)
	return start(whole)
}

// relaunch starts a process again as it was, with further variables in its environment.
func (s *site) relaunch(name string, further map[string]string) error {
	for _, p := range s.parts {
		if p.name == name {
			env := maps.Clone(p.env)
			maps.Copy(env, further)
			_, err := s.Launch(name, p.program, env)
			return err
		}
	}
	return fmt.Errorf("no process is called %s", strings.TrimSpace(name))
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
