package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cupline/cupline/bench/internal/bare"
	"github.com/cupline/cupline/bench/internal/devices"
	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/bench/internal/platform"
	"github.com/cupline/cupline/bench/internal/profile"
	"github.com/cupline/cupline/bench/internal/report"
	"github.com/cupline/cupline/bench/internal/usage"
)

// drainLimit bounds the wait for the outcomes of what was accepted in a run: the commands' own timeout, the 10 s after which
// the broker takes a reply to the mailbox, and as much again.
const drainLimit = 45 * time.Second

// ErrNoFigure says that at least one run lost, doubled or refused something, or could not be run.
var ErrNoFigure = errors.New("not every run gave a figure")

// bench is one in progress.
type bench struct {
	cfg      Config
	platform *platform.Platform
	accounts []measure.Account
	report   report.Report
	outcomes int64 // the last id that outcomes of trials began at
}

// Run measures. The report is of use also with an error that wraps ErrNoFigure.
func Run(ctx context.Context, cfg Config) (report.Report, error) {
	if err := cfg.Check(); err != nil {
		return report.Report{}, err
	}
	b := &bench{cfg: cfg}
	b.report = report.Report{
		Format: report.Format, At: time.Now().UTC(), Commit: commit(ctx, cfg.Root), Machine: usage.Describe(), Settings: cfg.describe(),
	}
	server, err := devices.Serve(ctx)
	if err != nil {
		return report.Report{}, err
	}
	p, err := platform.Start(ctx, platform.Config{
		Root: cfg.Root, Folder: cfg.Folder, BrokerOnly: !cfg.platform(), Clients: cfg.Clients, Devices: cfg.Devices,
		DeviceServer: server.Address(), Tools: cfg.tools(),
		Settings: cfg.Settings, Broker: cfg.Broker, Database: cfg.Database, Build: cfg.Build, Progress: cfg.Progress,
	})
	if err != nil {
		return report.Report{}, errors.Join(err, server.Close())
	}
	b.platform = p
	err = b.measure(ctx)
	return b.report, errors.Join(err, p.Stop(context.WithoutCancel(ctx)), server.Close())
}

func (b *bench) measure(ctx context.Context) (err error) {
	if b.report.Versions, err = versions(); err != nil {
		return err
	}
	if err := bare.Declare(ctx, b.platform.BrokerURL(), bare.Plain("").Clients); err != nil {
		return err
	}
	if b.cfg.platform() {
		err = b.withDevices(ctx)
	} else {
		err = errors.Join(b.rounds(ctx), b.paced(ctx))
	}
	if len(b.report.Failed()) > 0 {
		err = errors.Join(err, ErrNoFigure)
	}
	return err
}

// withDevices runs all cases while the MQTT devices are connected, and looks for what was left behind.
func (b *bench) withDevices(ctx context.Context) error {
	fleet, err := b.platform.Fleet(ctx, b.cfg.Connections)
	if err != nil {
		return err
	}
	err = errors.Join(b.rounds(ctx), b.paced(ctx), b.trials(ctx))
	if ctx.Err() == nil {
		err = errors.Join(err, b.platform.Leftover(ctx))
	}
	return errors.Join(err, fleet.Close())
}

func (b *bench) rounds(ctx context.Context) error {
	for round := range b.cfg.Rounds {
		begin := len(b.report.Runs)
		for _, one := range order(b.cfg.chosen(), round) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			b.note(b.run(ctx, one, report.Run{Case: one.Name, Kind: report.Ceiling, Round: round + 1}))
		}
		ratios(b.report.Runs[begin:])
	}
	return nil
}

// paced runs the latency cases at each rate, one after the other: a rate below the ceiling leaves the machine room, so that
// noise shows in the tail, not in a ratio.
func (b *bench) paced(ctx context.Context) error {
	for _, one := range b.cfg.chosen() {
		if one.ceiling == "" {
			continue
		}
		ceiling := b.report.Rate(one.ceiling)
		for _, rate := range b.cfg.Rates {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			run := report.Run{Case: one.Name, Kind: report.Paced, Round: 1, Offered: rate.PerSecond, Share: rate.Share}
			if rate.Share > 0 {
				run.Offered = rate.Share * ceiling
			}
			if run.Offered == 0 {
				run.Problem = "the case " + one.ceiling + " gave no ceiling to take a share of"
			} else {
				run = b.run(ctx, one, run)
			}
			b.note(run)
		}
	}
	return nil
}

// trials runs what is no commands in a loop.
func (b *bench) trials(ctx context.Context) error {
	for _, one := range b.cfg.chosen() {
		if one.trial == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fmt.Fprintf(b.cfg.Progress, "%s: %s\n", one.Name, one.About)
		b.note(b.run(ctx, one, report.Run{Case: one.Name, Kind: report.Trial, Round: 1}))
	}
	return nil
}

// run takes one reading; what goes wrong stands in the run, and the others go on.
func (b *bench) run(ctx context.Context, one Case, run report.Run) report.Run {
	window := b.window()
	var err error
	if b.accounts, err = b.platform.Accounts(); err != nil {
		run.Problem = err.Error()
		return run
	}
	switch {
	case one.trial != nil:
		run.Figures, err = one.trial(ctx, b)
	case one.bare != nil:
		err = b.runBare(ctx, one, window, &run)
	case one.echo:
		err = b.runEcho(ctx, window, &run)
	default:
		err = b.runPlatform(ctx, b.cfg.plan(b.platform, one), window, &run)
	}
	if one.offline {
		err = errors.Join(err, b.platform.Empty(context.WithoutCancel(ctx)))
	}
	if err != nil {
		run.Problem = err.Error()
	}
	return run
}

func (b *bench) runBare(ctx context.Context, one Case, window measure.Window, run *report.Run) (err error) {
	cfg := one.bare(b.platform.BrokerURL())
	cfg.Size, cfg.Limit, cfg.Rate = b.cfg.Size, b.cfg.Limit, run.Offered
	pipeline := bare.New(cfg)
	// The pipeline runs in this process, so this process is what is measured.
	accounts := []measure.Account{b.accounts[0], self("pipeline", measure.Platform)}
	if run.Reading, err = measure.Take(ctx, pipeline, accounts, window); err != nil {
		return err
	}
	run.Latency = measure.Summarise(pipeline.Latencies(run.Reading.From, run.Reading.To))
	return nil
}

func (b *bench) window() measure.Window {
	return measure.Window{Warmup: b.cfg.Warmup, Length: b.cfg.Length, Least: b.cfg.Least, Drain: drainLimit}
}

func (b *bench) runPlatform(ctx context.Context, plan load.Plan, window measure.Window, run *report.Run) (err error) {
	plan.Rate = run.Offered
	clients := load.New(plan)
	accounts := append(b.accounts[:len(b.accounts):len(b.accounts)], self("load", measure.Driving))
	profiled := b.profile(ctx, run)
	before, err := b.look(ctx, run)
	if err != nil {
		return err
	}
	run.Reading, err = measure.Take(ctx, clients, accounts, window)
	err = errors.Join(err, <-profiled)
	tally := clients.Tally()
	run.Tally = &tally
	if err != nil {
		return err
	}
	l := clients.Latencies(run.Reading.From, run.Reading.To)
	run.Latency, run.Answer = measure.Summarise(l.Outcome), measure.Summarise(l.Answer)
	return b.hops(ctx, run, before)
}

// profile takes profiles of the services, from the beginning of a run's warm-up on; the channel gets its end.
func (b *bench) profile(ctx context.Context, run *report.Run) <-chan error {
	done := make(chan error, 1)
	if b.cfg.Profiles == "" {
		close(done)
		return done
	}
	name := fmt.Sprintf("%s-%d", run.Case, run.Round)
	if run.Offered > 0 {
		name = fmt.Sprintf("%s-at-%.0f", run.Case, run.Offered)
	}
	go func() {
		done <- profile.CPU(ctx, b.cfg.Profiles, name, b.platform.Internal(), b.cfg.Warmup+b.cfg.Length)
	}()
	return done
}

// self is this process without the broker, the database and the services, which are its children.
func self(name string, role measure.Role) measure.Account {
	return measure.Account{Tree: usage.Tree{Name: name, PID: os.Getpid(), Alone: true}, Role: role}
}

func (b *bench) note(run report.Run) {
	b.report.Runs = append(b.report.Runs, run)
	at := ""
	if run.Offered > 0 {
		at = fmt.Sprintf(" at %.0f/s", run.Offered)
	}
	for _, f := range run.Figures {
		fmt.Fprintf(b.cfg.Progress, "%s: %s %s: %.4g %s\n", run.Case, f.What, f.At, f.Value, f.Unit)
	}
	if run.Kind == report.Trial && run.Problem == "" {
		return
	}
	if run.Problem != "" {
		fmt.Fprintf(b.cfg.Progress, "%s%s: NO FIGURE: %s\n", run.Case, at, run.Problem)
		return
	}
	fmt.Fprintf(b.cfg.Progress, "%s%s: %.0f/s, p50 %.1f ms, p99 %.1f ms, %.3f CPU-s per 1,000\n", run.Case, at, run.Reading.Rate(),
		run.Latency.P50.Seconds()*1000, run.Latency.P99.Seconds()*1000, run.Reading.PerThousand(measure.Platform, ""))
}
