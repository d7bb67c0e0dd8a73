package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cupline/cupline/e2e/faults/link"
	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/verify/history"
)

// injector breaks and heals what a plan says.
type injector struct {
	site *site
	log  *history.Log
	say  func(format string, values ...any)

	mu    sync.Mutex // guards busy and errs
	busy  map[string]*sync.Mutex
	errs  []error
	count map[schedule.Action]int
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

// inject is one fault from its beginning to its end. A target whose last fault took longer
// to heal than planned is broken when it is whole again.
func (i *injector) inject(ctx context.Context, f schedule.Fault) {
	target := i.target(f.Target)
	target.Lock()
	defer target.Unlock()
	began := time.Now()
	i.say("%s %s for %s", f.Action, f.Target, f.For)
	err := i.broken(ctx, f)
	e := history.Event{At: began, Kind: history.Fault, Name: f.Target, Detail: string(f.Action), Took: time.Since(began)}
	i.log.Add(e)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.count[f.Action]++
	if err != nil {
		i.errs = append(i.errs, fmt.Errorf("%s: %w", f, err))
	}
}

func (i *injector) target(name string) *sync.Mutex {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.busy[name] == nil {
		i.busy[name] = &sync.Mutex{}
	}
	return i.busy[name]
}

func (i *injector) broken(ctx context.Context, f schedule.Fault) error {
	s := i.site
	if l := s.links[f.Target]; l != nil {
		mode := link.Mode(f.Action)
		switch f.Action {
		case schedule.CutLink:
			l.Cut()
			return nil
		case schedule.RefuseLink:
			mode = link.Refused
		}
		l.Set(mode)
		pause(ctx, f.For)
		l.Set(link.Whole)
		return nil
	}
	if node := s.nodes[f.Target]; node != nil {
		if f.Action == schedule.Pause {
			return still(ctx, f, node.Pause, node.Resume)
		}
		return down(ctx, f, node.Kill, node.Stop, node.Start)
	}
	if f.Target == database {
		return down(ctx, f, s.Database.Kill, s.Database.Stop, s.Database.Start)
	}
	if f.Action == schedule.Pause {
		return still(ctx, f, func() error { return s.Pause(f.Target) }, func() error { return s.Resume(f.Target) })
	}
	kill := func() error { return s.Kill(f.Target) }
	end := func(ctx context.Context) error { return s.End(ctx, f.Target) }
	return down(ctx, f, kill, end, func(context.Context) error { return s.relaunch(f.Target) })
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

// relaunch starts a process again as it was.
func (s *site) relaunch(name string) error {
	for _, p := range s.parts {
		if p.name == name {
			_, err := s.Launch(name, p.program, p.env)
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
