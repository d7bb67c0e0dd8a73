package app

import (
	"context"
	"errors"
	"time"

	"github.com/cupline/cupline/api/internal/httpapi"
	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/drain"
)

// inspectLimit bounds one passive declare.
const inspectLimit = 2 * time.Second

// operations makes what the operators' desk needs.
func (a *App) operations(metrics *httpapi.Metrics) error {
	trust, err := a.cfg.Broker.Management(a.log)
	if err != nil {
		return err
	}
	a.queues, err = ops.NewQueues(a.cfg.ManagementURL.Reveal(), trust.Transport(), a.cfg.AMQPURL.Reveal(), a.cache.Lanes, a.inspect)
	if err != nil {
		return err
	}
	a.clients = ops.NewClients(a.queues)
	a.letters = deadletter.New(a.pool)
	a.desk = ops.New(ops.Config{
		Letters: a.letters, Registry: finder{a.cache}, Policies: a.intake, Publisher: publisher{a.publisher}, Clock: a.clock,
		Ready: a.link.Ready, Redriven: metrics.Redriven, Guard: a.cfg.LoopGuard, Tracer: a.tracer, Log: a.log,
	})
	resumer := ops.NewResumer(a.desk)
	runner := ops.NewRunner(a.desk, a.letters)
	a.group.Add("queues", nil, func(context.Context) error {
		a.queues.Close()
		return nil
	})
	a.group.Add("redrives", resumer.Start, resumer.Stop)
	a.group.Add("jobs", runner.Start, runner.Stop)
	a.drains = drain.New(a.pool)
	drainer := ops.NewDrainer(ops.DrainerConfig{
		Drains: a.drains, Backlog: backlog{a.link}, Publisher: publisher{a.publisher}, Ready: a.link.Ready, Log: a.log,
	})
	a.group.Add("drains", drainer.Start, drainer.Stop)
	return a.survey()
}

// inspect asks a queue itself.
func (a *App) inspect(ctx context.Context, queue string) (messages, consumers int, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, inspectLimit)
	defer cancel()
	err = a.link.Do(ctx, func(ctx context.Context, s *broker.Session) (err error) {
		messages, consumers, err = s.Inspect(ctx, queue)
		return err
	})
	if errors.Is(err, broker.ErrNotFound) {
		return 0, 0, false, nil
	}
	return messages, consumers, err == nil, err
}
