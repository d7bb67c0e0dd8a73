package app

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/cupline/cupline/dispatcher/internal/claims"
	"github.com/cupline/cupline/dispatcher/internal/device/http"
	"github.com/cupline/cupline/dispatcher/internal/device/mqtt"
	"github.com/cupline/cupline/dispatcher/internal/device/noop"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/dispatcher/internal/feed"
	"github.com/cupline/cupline/dispatcher/internal/recorder"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
)

// record builds the recorder, if this process has that role.
func (a *App) record(context.Context) error {
	if !a.cfg.has(RoleRecord) {
		return nil
	}
	metrics, err := recorder.NewMetrics(a.registry)
	if err != nil {
		return err
	}
	letters := feed.NewLetters(a.consuming, feed.LettersConfig{
		Prefetch: a.cfg.RecorderPrefetch,
		Recorder: recorder.New(deadletter.New(a.pool), a.clock, a.log, metrics, a.tracer, a.feeds.Ended),
		Sender:   a.sender, Log: a.log, Metrics: a.feeds,
	})
	a.addFeed("dead letters", nil, letters.Stop)
	return a.survey()
}

// work builds an engine and a feed for each lane, if this process has that role. The
// lanes share the drivers, and nothing else: a lane that is full or slow stops no other.
func (a *App) work(context.Context) error {
	if !a.cfg.has(RoleWork) {
		return nil
	}
	drivers, err := a.drivers()
	if err != nil {
		return err
	}
	metrics, err := dispatch.NewMetrics(a.registry)
	if err != nil {
		return err
	}
	for _, lane := range a.cfg.Lanes {
		engine := dispatch.New(dispatch.Config{
			Drivers: drivers,
			Ledger:  claims.New(a.writer, audit.New(a.pool)),
			Devices: devices{a.cache}, Clock: a.clock, Gate: a.publishing,
			Concurrency: a.cfg.Concurrency, DeviceLimit: a.cfg.DeviceLimit, TenantLimit: a.cfg.TenantLimit,
			MaxAnswer: a.cfg.MaxAnswer, Tracer: a.tracer, Log: a.log, Metrics: metrics,
		})
		g := &gate{cache: a.cache, lane: lane, changed: make(chan struct{}, 1)}
		a.gates = append(a.gates, g)
		work := feed.NewWork(a.consuming, feed.WorkConfig{
			Lane: lane, Concurrency: a.cfg.Concurrency, Engine: engine, Gate: g, Now: a.clock.Now,
			Sender: a.sender, Tracer: a.tracer, Log: a.log, Metrics: a.feeds,
		})
		a.addFeed("lane "+lane, work.Start, work.Stop)
	}
	return nil
}

// drivers by name. The queue of devices' answers is registered before any lane's consumer,
// so that it is there when commands come.
func (a *App) drivers() (map[string]dispatch.Driver, error) {
	networks, err := http.ParseNetworks(a.cfg.HTTPNetworks)
	if err != nil {
		return nil, err
	}
	metrics, err := mqtt.NewMetrics(a.registry)
	if err != nil {
		return nil, err
	}
	id := newDispatcherID()
	a.log.Info("dispatcher", zap.String("id", id), zap.Strings("roles", a.cfg.Roles), zap.Strings("lanes", a.cfg.Lanes))
	overMQTT := mqtt.New(mqtt.Config{
		Dispatcher: id, Publisher: a.publisher, Publishing: a.publishing, Answers: a.consuming, Metrics: metrics,
	})
	feed.ConsumeAnswers(a.consuming, id, overMQTT.Answer)
	overHTTP := http.New(networks)
	a.group.Add("http driver", nil, func(context.Context) error {
		overHTTP.Close()
		return nil
	})
	drivers := map[string]dispatch.Driver{"mqtt": overMQTT, "http": overHTTP}
	if a.cfg.NoopDriver {
		drivers["noop"] = noop.Driver{}
	}
	return drivers, nil
}

// addFeed adds a feed's parts to the group. It starts before the link that brings its
// deliveries; at shutdown the feeds are stopped first, all at once and within the drain,
// while that link is still up for their acks.
func (a *App) addFeed(name string, start, stop func(context.Context) error) {
	if start != nil {
		a.group.Add(name, start, nil)
	}
	a.stops = append(a.stops, stop)
}

// drain stops the feeds side by side.
func (a *App) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Drain)
	defer cancel()
	stopped := make(chan error, len(a.stops))
	for _, stop := range a.stops {
		go func() { stopped <- stop(ctx) }()
	}
	var problems []error
	for range a.stops {
		problems = append(problems, <-stopped)
	}
	return errors.Join(problems...)
}
