package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/bench/internal/platform"
	"github.com/cupline/cupline/bench/internal/report"
	"github.com/cupline/cupline/local/services"
)

const (
	// backlogLimit bounds the posting and the working off of each 1,000 commands of a backlog.
	backlogLimit = 10 * time.Second
	// unpaced is a rate at which a worker never waits for the next command to be due.
	unpaced = 1e9
)

// backlog posts commands that no dispatcher takes, then has them worked off, and holds what intake does meanwhile against what it
// does alone.
func backlog(ctx context.Context, b *bench) (figures []report.Figure, err error) {
	var found findings
	lane := map[string]string{"CUPLINE_LANES": platform.BacklogLane, "CUPLINE_ROLES": "work"}
	// Its first start makes the lane's queue.
	first, err := b.platform.Launch(ctx, services.Dispatcher, "backlog-first", lane)
	if err != nil {
		return found, err
	}
	if err := b.platform.End(ctx, first); err != nil {
		return found, err
	}
	alone, err := b.intake(ctx)
	if err != nil {
		return found, fmt.Errorf("intake alone: %w", err)
	}
	waiting, took, err := b.fill(ctx)
	if err != nil {
		return found, err
	}
	size := float64(b.cfg.Sizes.Backlog)
	found.add("posted in batches of 50", thousands(b.cfg.Sizes.Backlog)+" commands", size/took.Seconds(), "per s")
	second, err := b.platform.Launch(ctx, services.Dispatcher, "backlog-second", lane)
	if err != nil {
		none, cancel := context.WithCancel(ctx)
		cancel() // nobody takes what waits
		return found, errors.Join(err, waiting.Stop(none))
	}
	defer func() { err = errors.Join(err, b.end(ctx, []*platform.Member{second})) }()
	began, done := time.Now(), waiting.Done()
	beside, intakeErr := b.intake(ctx)
	during := float64(waiting.Done()-done) / time.Since(began).Seconds()
	limit, cancel := context.WithTimeout(ctx, b.backlogLimit())
	defer cancel()
	if err := errors.Join(intakeErr, waiting.Stop(limit)); err != nil {
		return found, fmt.Errorf("the backlog: %w", err)
	}
	at := thousands(b.cfg.Sizes.Backlog) + " commands"
	found.add("worked off, all", at, size/time.Since(began).Seconds(), "per s")
	found.add("worked off, beside intake", at, during, "per s")
	for _, side := range []struct {
		at  string
		run report.Run
	}{{"alone", alone}, {"beside the backlog", beside}} {
		found.add("intake, of what is offered", side.at, side.run.Reading.Rate()/side.run.Offered, "×")
		found.add("answer to the POST, p99", side.at, ms(side.run.Answer.P99), "ms")
		found.add("outcome, p99", side.at, ms(side.run.Latency.P99), "ms")
	}
	return found, nil
}

func (b *bench) backlogLimit() time.Duration {
	return drainLimit + time.Duration(b.cfg.Sizes.Backlog)*backlogLimit/1000
}

// fill posts the backlog for the first half of the clients; Stop of what it returns waits until it is worked off.
func (b *bench) fill(ctx context.Context) (*load.Run, time.Duration, error) {
	plan := b.cfg.plan(b.platform, Case{kind: platform.Backlog, batch: batchSize})
	plan.Clients = plan.Clients[:(len(plan.Clients)+1)/2]
	plan.Rate, plan.Limit = unpaced, b.cfg.Sizes.Backlog/batchSize*batchSize
	run := load.New(plan)
	began := time.Now()
	if err := run.Start(ctx); err != nil {
		return nil, 0, err
	}
	limit, cancel := context.WithTimeout(ctx, b.backlogLimit())
	defer cancel()
	if err := run.Posted(limit); err != nil {
		return nil, 0, errors.Join(err, run.Stop(limit))
	}
	return run, time.Since(began), nil
}

// intake posts at a rate for the other half of the clients, on the default lane.
func (b *bench) intake(ctx context.Context) (run report.Run, err error) {
	if b.accounts, err = b.platform.Accounts(); err != nil {
		return run, err
	}
	plan := b.cfg.plan(b.platform, ledgerCase())
	plan.Clients = plan.Clients[(len(plan.Clients)+1)/2:]
	run = report.Run{Case: "backlog", Kind: report.Paced, Offered: b.cfg.Sizes.Intake}
	return run, b.runPlatform(ctx, plan, b.window(), &run)
}
