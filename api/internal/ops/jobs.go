package ops

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/deadletter"
)

// Jobs is what a Runner needs of a deadletter.Store to hold jobs.
type Jobs interface {
	LeaseJob(ctx context.Context, owner uuid.UUID) (deadletter.Job, bool, error)
	RenewJob(ctx context.Context, j *deadletter.Job, owner uuid.UUID) (bool, error)
	ReleaseJob(ctx context.Context, j *deadletter.Job, owner uuid.UUID, rest time.Duration) error
	ChangeJob(ctx context.Context, tenant string, jobID uuid.UUID, act deadletter.Act, to string, from ...string) error
	Items
	Outcomes
}

// Items are a job's letters.
type Items interface {
	Waiting(ctx context.Context, j *deadletter.Job, limit int) ([]deadletter.Item, error)
	Report(ctx context.Context, j *deadletter.Job, position int64, result, detail string, sent uuid.UUID, wait time.Duration) error
}

const (
	// jobWorkers is how many jobs a process works on at once, so that a long one holds up no other.
	jobWorkers = 4
	// lookEvery is how often a job is looked for, and how soon one is tried again after a fault.
	lookEvery = time.Second
	// renewEvery is how often a lease is renewed, and the job's outcomes are judged: so soon is a pause or a cancel seen.
	renewEvery = time.Second
	// itemBatch is the most items read ahead.
	itemBatch = 100
	// itemLimit bounds the work on one letter; with it a lease never runs out under a runner that lives.
	itemLimit = 15 * time.Second
)

// Runner works on jobs, a few at a time. Any number of processes may run one: a job has one worker
// at a time, and goes on where it stood when that one is gone.
type Runner struct {
	desk    *Desk
	jobs    Jobs
	stop    context.CancelFunc
	workers sync.WaitGroup
}

// NewRunner makes one.
func NewRunner(desk *Desk, jobs Jobs) *Runner { return &Runner{desk: desk, jobs: jobs} }

// Start begins to look for jobs, and for what their commands came to.
func (r *Runner) Start(ctx context.Context) error {
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	for range jobWorkers {
		owner := uuid.New()
		r.workers.Go(func() { r.every(ctx, "a job waits", func() error { return r.RunOne(ctx, owner) }) })
	}
	r.workers.Go(func() { r.every(ctx, "outcomes are not noted", func() error { return r.Collect(ctx) }) })
	return nil
}

func (r *Runner) every(ctx context.Context, trouble string, do func() error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := do(); err != nil && ctx.Err() == nil {
			r.desk.cfg.Log.Warn(trouble, zap.Error(err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Stop ends after the letters at hand; another process goes on.
func (r *Runner) Stop(ctx context.Context) error {
	r.stop()
	done := make(chan struct{})
	go func() {
		r.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop working on jobs: %w", context.Cause(ctx))
	}
}

// RunOne works on one job, if there is one, until it ends, is paused or cancelled, waits for its canary, or
// meets a fault that may pass; then the job waits for the next look. owner tells one worker from another.
func (r *Runner) RunOne(ctx context.Context, owner uuid.UUID) error {
	j, found, err := r.jobs.LeaseJob(ctx, owner)
	if err != nil || !found {
		return err
	}
	ctx = store.ForTenant(ctx, j.Tenant)
	err = r.run(ctx, &j, owner)
	rest := time.Duration(0)
	if errors.Is(err, errCanary) {
		err, rest = nil, renewEvery
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	return errors.Join(err, r.jobs.ReleaseJob(ending, &j, owner, rest))
}

func (r *Runner) run(ctx context.Context, j *deadletter.Job, owner uuid.UUID) error {
	pace := time.NewTicker(time.Second / time.Duration(max(j.Rate, 1)))
	defer pace.Stop()
	var looked time.Time
	for {
		items, err := r.jobs.Waiting(ctx, j, itemBatch)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return r.finish(ctx, j)
		}
		for _, item := range items {
			if j.CanaryDue || time.Since(looked) >= renewEvery {
				mine, err := r.jobs.RenewJob(ctx, j, owner)
				if err != nil || !mine {
					return err
				}
				if goOn, err := r.judge(ctx, j); err != nil || !goOn {
					return err
				}
				looked = time.Now()
			}
			// What was begun is finished, whatever stops the process.
			if err := r.item(context.WithoutCancel(ctx), j, item); err != nil {
				return err
			}
			select {
			case <-pace.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (r *Runner) finish(ctx context.Context, j *deadletter.Job) error {
	err := r.jobs.ChangeJob(ctx, j.Tenant, j.JobID, j.Act(), deadletter.JobDone, deadletter.JobRunning)
	var changed *deadletter.JobError
	if errors.As(err, &changed) {
		return nil // paused or cancelled in the same moment
	}
	return err
}
