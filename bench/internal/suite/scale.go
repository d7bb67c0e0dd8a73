package suite

import (
	"context"
	"errors"
	"fmt"

	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/bench/internal/platform"
	"github.com/cupline/cupline/bench/internal/report"
	"github.com/cupline/cupline/local/services"
)

// ledgerCase is what scale and growth drive.
func ledgerCase() Case { return Case{Name: "ledger", kind: platform.Ledger, batch: 1} }

// scale measures ledger at its ceiling with more and more dispatchers and pushers.
func scale(ctx context.Context, b *bench) (figures []report.Figure, err error) {
	var found findings
	var more []*platform.Member
	defer func() { err = errors.Join(err, b.end(ctx, more)) }()
	for _, members := range b.cfg.Sizes.Members {
		for len(b.platform.Members(services.Dispatcher)) < members {
			n := len(more)
			d, err := b.platform.Launch(ctx, services.Dispatcher, fmt.Sprintf("scale-dispatcher-%d", n), nil)
			if err != nil {
				return found, err
			}
			more = append(more, d)
			p, err := b.platform.Launch(ctx, services.Pusher, fmt.Sprintf("scale-pusher-%d", n), briefly())
			if err != nil {
				return found, err
			}
			more = append(more, p)
		}
		run, err := b.ceiling(ctx, b.cfg.plan(b.platform, ledgerCase()))
		if err != nil {
			return found, err
		}
		at := fmt.Sprintf("%d dispatchers and pushers", members)
		if members == 1 {
			at = "1 dispatcher and pusher"
		}
		found.add("commands", at, run.Reading.Rate(), "per s")
		found.add("CPU per 1,000", at, run.Reading.PerThousand(measure.Platform, ""), "CPU-s")
	}
	return found, nil
}

// ceiling is the run of a plan with the median cost, of as many as there are rounds.
func (b *bench) ceiling(ctx context.Context, plan load.Plan) (report.Run, error) {
	var runs []report.Run
	for range b.cfg.Rounds {
		var err error
		if b.accounts, err = b.platform.Accounts(); err != nil {
			return report.Run{}, err
		}
		run := report.Run{Case: "ledger", Kind: report.Ceiling}
		if err := b.runPlatform(ctx, plan, b.window(), &run); err != nil {
			return run, err
		}
		runs = append(runs, run)
	}
	return report.MedianRun(runs), nil
}

// growth holds the cost of a command against what it was before the tables grew.
func growth(ctx context.Context, b *bench) ([]report.Figure, error) {
	var found findings
	plan := b.cfg.plan(b.platform, ledgerCase())
	before, err := b.cost(ctx, plan)
	if err != nil {
		return found, err
	}
	found.add("CPU per 1,000", "before", before, "CPU-s")
	sizes := b.cfg.Sizes
	steps := []struct {
		at   string
		grow func() error
	}{
		{thousands(sizes.Devices) + " devices", func() error {
			devices, err := b.platform.GrownDevices(ctx, sizes.Devices)
			plan.Devices = devices
			return err
		}},
		{thousands(sizes.Keys) + " clients' keys", func() error { return b.platform.GrownKeys(ctx, sizes.Keys) }},
		{thousands(sizes.Letters) + " dead letters", func() error { return b.letters(ctx, sizes.Letters) }},
		{thousands(sizes.Connected) + " clients connected", func() error {
			err := b.platform.MoreClients(ctx, sizes.Connected)
			plan.Clients = b.platform.Clients
			return err
		}},
	}
	for _, step := range steps {
		fmt.Fprintf(b.cfg.Progress, "growing to %s\n", step.at)
		if err := step.grow(); err != nil {
			return found, err
		}
		cost, err := b.cost(ctx, plan)
		if err != nil {
			return found, err
		}
		found.add("CPU per 1,000", "and with "+step.at, cost, "CPU-s")
		found.add("of the cost before", "and with "+step.at, cost/before, "×")
		before = cost
	}
	return found, nil
}

func (b *bench) cost(ctx context.Context, plan load.Plan) (float64, error) {
	run, err := b.ceiling(ctx, plan)
	return run.Reading.PerThousand(measure.Platform, ""), err
}
