// Package janitor ends what is kept no longer: retention, erasures, and the counts of dead letters that are to be added
// up. Of all processes that run one, one works at a time.
package janitor

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/drain"
	"github.com/cupline/cupline/store/erasure"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/mailbox"
	"github.com/cupline/cupline/store/retention"
)

// Config of a Janitor. All fields are required.
type Config struct {
	// Pool logs in as a member of the role cupline_janitor, and has two connections or more: one holds the lock.
	Pool *postgres.Pool
	// Lanes knows all lanes: what may come out of one again is kept.
	Lanes func(ctx context.Context) ([]topology.Lane, error)
	// Now in database time.
	Now func() time.Time
	// Every is how often retention is looked after, Tick how often counts are added up and erasures looked for.
	Every, Tick time.Duration
	// Acked is for how long outcomes that were acked, or refused for a quota, are known in the mailbox.
	Acked time.Duration
	// Batch is the most rows of one transaction.
	Batch   int
	Metrics *Metrics
	Log     *zap.Logger
}

// Janitor works in the background while it has the lock.
type Janitor struct {
	cfg      Config
	letters  *deadletter.Store
	trail    *audit.Trail
	ledger   *ledger.Reader
	mailbox  *mailbox.Store
	terms    *retention.Store
	erasures *erasure.Store
	drains   *drain.Store
	stop     context.CancelFunc
	done     chan struct{}
}

// New makes a janitor.
func New(cfg Config) *Janitor {
	return &Janitor{
		cfg: cfg, letters: deadletter.New(cfg.Pool), trail: audit.New(cfg.Pool), ledger: ledger.NewReader(cfg.Pool),
		mailbox: mailbox.New(cfg.Pool, mailbox.Limits{}), terms: retention.New(cfg.Pool), erasures: erasure.New(cfg.Pool),
		drains: drain.New(cfg.Pool),
		stop:   func() {}, done: make(chan struct{}),
	}
}

const (
	// lockKey is the janitor's own: "cupjan" in hexadecimal.
	lockKey = 0x6375706a616e
	// electEvery is how often a janitor that does not work tries to get the lock.
	electEvery = 5 * time.Second
	// stepLimit bounds one batch.
	stepLimit = 20 * time.Second
)

// Start begins to try for the lock.
func (j *Janitor) Start(ctx context.Context) error {
	ctx, j.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(j.done)
		for {
			if err := j.serve(ctx); err != nil && ctx.Err() == nil {
				j.cfg.Log.Warn("the janitor stopped; it is tried again", zap.Error(err))
			}
			if !pause(ctx, min(electEvery, j.cfg.Every)) {
				return
			}
		}
	}()
	return nil
}

// Stop ends it, with the batch at hand, and gives the lock back.
func (j *Janitor) Stop(ctx context.Context) error {
	j.stop()
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the janitor: %w", context.Cause(ctx))
	}
}

// serve works for as long as it has the lock; at once nil when somebody else has it.
func (j *Janitor) serve(ctx context.Context) error {
	lock, err := j.cfg.Pool.TryLock(ctx, lockKey)
	if err != nil || lock == nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		lock.Release(ending)
		j.cfg.Metrics.working.Set(0)
	}()
	j.cfg.Metrics.working.Set(1)
	var next, watched time.Time
	for {
		if err := lock.Check(ctx); err != nil {
			return err
		}
		if err := j.addUp(ctx); err != nil {
			return err
		}
		if err := j.erase(ctx); err != nil {
			return err
		}
		if time.Since(watched) >= min(watchEvery, j.cfg.Every) {
			if err := j.watch(ctx); err != nil {
				return err
			}
			watched = time.Now()
		}
		if !time.Now().Before(next) {
			if err := j.Retain(ctx); err != nil {
				return err
			}
			j.cfg.Metrics.passed.SetToCurrentTime()
			next = time.Now().Add(j.cfg.Every)
		}
		if !pause(ctx, j.cfg.Tick) {
			return nil
		}
	}
}

// share of its time that the janitor works at most: after each batch it rests four times as long.
const rest = 4

// batches runs one step after the other, and rests in between, until a step did less than a batch.
func (j *Janitor) batches(ctx context.Context, what string, step func(ctx context.Context) (int64, error)) error {
	for {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, stepLimit)
		n, err := step(limited)
		cancel()
		if n > 0 {
			j.cfg.Metrics.removed.WithLabelValues(what).Add(float64(n))
		}
		if err != nil {
			return err
		}
		if n < int64(j.cfg.Batch) {
			return nil
		}
		if !pause(ctx, rest*time.Since(began)) {
			return context.Cause(ctx)
		}
	}
}

// watchEvery is how often the ledger is read for what stays open.
const watchEvery = time.Minute

// watch goes through what has become an hour old in the ledger, in stretches with rests in between.
func (j *Janitor) watch(ctx context.Context) error {
	for {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, stepLimit)
		more, err := j.ledger.Watch(limited, watchBatch)
		cancel()
		if err != nil || !more {
			return err
		}
		if !pause(ctx, rest*time.Since(began)) {
			return context.Cause(ctx)
		}
	}
}

// watchBatch rows of the ledger are read in some 10 ms.
const watchBatch = 5000

// addUp moves the changes of counts to where they are read fast.
func (j *Janitor) addUp(ctx context.Context) error {
	for {
		moved, err := j.letters.AddUp(ctx, addUpBatch)
		if err != nil || moved < addUpBatch {
			return err
		}
	}
}

// addUpBatch changes take some 100 ms; they lock nothing that anybody waits for.
const addUpBatch = 5000

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
