package app

import (
	"context"
	"fmt"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/dispatcher/internal/janitor"
)

const (
	// janitorConnections: one holds the lock, one works.
	janitorConnections = 2
	janitorTick        = 2 * time.Second
	janitorBatch       = 500
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
	return nil
}
