package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	measureEvery = 30 * time.Second
	// measureSoon is the pause after a measurement that failed.
	measureSoon  = 2 * time.Second
	measureLimit = 5 * time.Second
	// measureTries are made each time; the one with the shortest round trip counts, since
	// half of the round trip is what it can be wrong by.
	measureTries = 3
	// offsetLogged is the change of the offset that is worth a line in the log.
	offsetLogged = 500 * time.Millisecond
)

// Clock tells database time. It measures how far this process's clock is from Postgres's
// and goes on with the monotonic clock in between, so that neither a wrong clock nor one
// that is set while the process runs changes a deadline. While the database is away the
// last measurement holds; before the first one it tells this machine's time.
type Clock struct {
	pool *Pool
	log  *zap.Logger
	loop loop
	base atomic.Pointer[reading]
}

// reading is one measurement: what the database's clock said at a moment of ours.
type reading struct {
	here  time.Time // with the monotonic reading
	there time.Time // without
}

// NewClock makes a clock; Start it to measure.
func NewClock(pool *Pool, log *zap.Logger) *Clock {
	if log == nil {
		log = zap.NewNop()
	}
	return &Clock{pool: pool, log: log}
}

// Start measures in the background, now and every 30 s until Stop. It succeeds with the
// database away; Ready tells when the first measurement is in.
func (c *Clock) Start(ctx context.Context) error {
	return c.loop.start(ctx, func(ctx context.Context) {
		for {
			pause := measureEvery
			if err := c.Measure(ctx); err != nil {
				pause = measureSoon
				if ctx.Err() == nil {
					c.log.Warn("cannot measure the database's clock", zap.Error(err))
				}
			}
			if !sleep(ctx, pause) {
				return
			}
		}
	})
}

// Stop ends measuring, and returns when that has ended.
func (c *Clock) Stop(ctx context.Context) error { return c.loop.stop(ctx) }

// Now in database time.
func (c *Clock) Now() time.Time {
	base := c.base.Load()
	if base == nil {
		return time.Now()
	}
	return base.there.Add(time.Since(base.here))
}

// Offset is database time minus this machine's time, and whether it was ever measured.
func (c *Clock) Offset() (offset time.Duration, measured bool) {
	base := c.base.Load()
	if base == nil {
		return 0, false
	}
	return c.Now().Sub(time.Now().Round(0)), true
}

// Ready is nil once the clock was measured; until then Now is only this machine's time.
func (c *Clock) Ready(context.Context) error {
	if c.base.Load() == nil {
		return errors.New("the database's clock was never measured")
	}
	return nil
}

// Measure asks the database now.
func (c *Clock) Measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, measureLimit)
	defer cancel()
	connection, err := c.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer connection.Release()
	var best reading
	shortest := time.Duration(-1)
	for range measureTries {
		var there time.Time
		began := time.Now()
		if err := connection.QueryRow(ctx, "select clock_timestamp()").Scan(&there); err != nil {
			return err
		}
		trip := time.Since(began)
		if shortest < 0 || trip < shortest {
			shortest = trip
			best = reading{here: began.Add(trip / 2), there: there.UTC()}
		}
	}
	before, _ := c.Offset()
	c.base.Store(&best)
	after, _ := c.Offset()
	if (after - before).Abs() > offsetLogged {
		c.log.Warn("this machine's clock differs from the database's", zap.Duration("offset", after), zap.Duration("before", before))
	}
	return nil
}
