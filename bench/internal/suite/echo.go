package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/bench/internal/bare"
	"github.com/cupline/cupline/bench/internal/child"
	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/bench/internal/platform"
	"github.com/cupline/cupline/bench/internal/report"
	"github.com/cupline/cupline/bench/internal/usage"
	"github.com/cupline/cupline/local/ports"
)

const (
	// echoQueue takes what the Echo handler publishes.
	echoQueue = "bench.echo"
	// echoLimit bounds its start.
	echoLimit = time.Minute
)

// runEcho measures the handler as the platform's own ceiling is: a closed loop, in which the answer is a command's end.
func (b *bench) runEcho(ctx context.Context, window measure.Window, run *report.Run) (err error) {
	reserved, err := ports.Reserve(0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reserved.Release()) }()
	address := ports.Address(reserved.Ports[0])
	handler, err := child.Start(ctx, b.platform.Program("echo"), []string{"AMQP_URL=" + b.platform.BrokerURL()}, address, echoQueue)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, handler.Stop(), bare.Remove(context.WithoutCancel(ctx), b.platform.BrokerURL(), echoQueue))
	}()
	starting, cancel := context.WithTimeout(ctx, echoLimit)
	defer cancel()
	if _, err := handler.Line(starting); err != nil {
		return err
	}
	accounts := []measure.Account{
		b.accounts[0], {Tree: usage.Tree{Name: "pipeline", PID: handler.PID()}, Role: measure.Platform}, self("load", measure.Driving),
	}
	clients := load.New(load.Plan{
		API: address, Clients: []*load.Client{{ID: "echo"}}, Devices: []string{"any"}, Method: platform.Method, Size: b.cfg.Size,
		Batch: 1, Workers: b.cfg.Workers, Window: b.cfg.Window, Limit: b.cfg.Limit, AnswerIsEnd: true,
	})
	if run.Reading, err = measure.Take(ctx, clients, accounts, window); err != nil {
		return fmt.Errorf("the Echo handler: %w", err)
	}
	tally := clients.Tally()
	run.Tally = &tally
	run.Latency = measure.Summarise(clients.Latencies(run.Reading.From, run.Reading.To).Outcome)
	return nil
}
