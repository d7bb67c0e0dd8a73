package app

import (
	"context"
	"fmt"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/dispatcher/internal/disconnect"
	"github.com/cupline/cupline/dispatcher/internal/janitor"
	"github.com/cupline/cupline/store/credential"
)

const (
	// janitorConnections: one holds the lock, one works, one looks for devices to disconnect.
	janitorConnections = 3
	// disconnectEvery keeps the bound of 5 s, with a look at the broker behind it.
	disconnectEvery = time.Second
	janitorTick     = 2 * time.Second
	janitorBatch    = 500
)

// clean builds the janitor, if this process has a login for it.
func (a *App) clean(ctx context.Context) error {
	if a.cfg.JanitorURL == "" {
		a.log.Info("CUPLINE_JANITOR_DATABASE_URL is not set: no janitor runs in this process")
		return nil
	}
	pool, err := postgres.Open(ctx, postgres.Config{
		URL: a.cfg.JanitorURL.Reveal(), MaxConns: janitorConnections, ApplicationName: "cupline-janitor",
	})
	if err != nil {
		return fmt.Errorf("open the database for the janitor: %w", err)
	}
	metrics, err := janitor.NewMetrics(a.registry)
	if err != nil {
		pool.Close()
		return err
	}
	a.group.Add("janitor's pool", nil, func(context.Context) error {
		pool.Close()
		return nil
	})
	cleaner := janitor.New(janitor.Config{
		Pool: pool, Lanes: a.cache.Lanes, Now: a.clock.Now, Every: a.cfg.Retain, Tick: janitorTick, Acked: a.cfg.AckedRetention,
		Batch: janitorBatch, Metrics: metrics, Log: a.log,
	})
	a.group.Add("janitor", cleaner.Start, cleaner.Stop)
	return a.disconnect(pool)
}

// disconnect has devices disconnected, if this process has an administrator's login to the broker.
func (a *App) disconnect(pool *postgres.Pool) error {
	if a.cfg.DevicesURL == "" {
		a.log.Info("CUPLINE_DEVICES_MANAGEMENT_URL is not set: a device whose credential is revoked stays connected until cupline devices disconnect")
		return nil
	}
	trust, err := a.cfg.Broker.Management(a.log)
	if err != nil {
		return err
	}
	broker, err := disconnect.NewManagement(a.cfg.DevicesURL.Reveal(), trust.Transport())
	if err != nil {
		return fmt.Errorf("CUPLINE_DEVICES_MANAGEMENT_URL: %w", err)
	}
	ends := disconnect.New(disconnect.Config{Asked: credential.New(pool), Broker: broker, Every: disconnectEvery, Log: a.log})
	a.group.Add("management", nil, broker.Close)
	a.group.Add("devices to disconnect", ends.Start, ends.Stop)
	return nil
}
