package ops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/deadletter"
)

// Jobs is what a Runner needs of a deadletter.Store.
type Jobs interface {
	LeaseJob(ctx context.Context, owner uuid.UUID) (deadletter.Job, bool, error)
	RenewJob(ctx context.Context, j *deadletter.Job, owner uuid.UUID) (bool, error)
	ReleaseJob(ctx context.Context, j *deadletter.Job, owner uuid.UUID) error
	Waiting(ctx context.Context, j *deadletter.Job, limit int) ([]deadletter.Item, error)
	Report(ctx context.Context, j *deadletter.Job, position int64, result, detail string) error
	ChangeJob(ctx context.Context, tenant string, jobID uuid.UUID, act deadletter.Act, to string, from ...string) error
}

const (
	// lookEvery is how often a job is looked for, and how soon one is tried again after a fault.
	lookEvery = time.Second
	// renewEvery is how often a lease is renewed: so soon is a pause or a cancel seen.
	renewEvery = time.Second
	// itemBatch is the most items read ahead.
	itemBatch = 100
	// itemLimit bounds the work on one letter; with it a lease never runs out under a runner that lives.
	itemLimit = 15 * time.Second
)

// Runner works on jobs, one at a time. Any number of processes may run one: a job has one of them
// at a time, and goes on where it stood when that one is gone.
type Runner struct {
	desk  *Desk
	jobs  Jobs
	owner uuid.UUID
	stop  context.CancelFunc
	done  chan struct{}
}

// NewRunner makes one.
func NewRunner(desk *Desk, jobs Jobs) *Runner {
	return &Runner{desk: desk, jobs: jobs, owner: uuid.New(), done: make(chan struct{})}
}

// Start begins to look for jobs.
func (r *Runner) Start(ctx context.Context) error {
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(r.done)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			if err := r.RunOne(ctx); err != nil && ctx.Err() == nil {
				r.desk.cfg.Log.Warn("a job waits", zap.Error(err))
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// Stop ends after the letter at hand; another process goes on.
func (r *Runner) Stop(ctx context.Context) error {
	r.stop()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop working on jobs: %w", context.Cause(ctx))
	}
}

// RunOne works on one job, if there is one, until it ends, is paused or cancelled, or meets a
// fault that may pass; then the job waits for the next look.
func (r *Runner) RunOne(ctx context.Context) error {
	j, found, err := r.jobs.LeaseJob(ctx, r.owner)
	if err != nil || !found {
		return err
	}
	ctx = store.ForTenant(ctx, j.Tenant)
	err = r.run(ctx, &j)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	return errors.Join(err, r.jobs.ReleaseJob(ending, &j, r.owner))
}

func (r *Runner) run(ctx context.Context, j *deadletter.Job) error {
	pace := time.NewTicker(time.Second / time.Duration(max(j.Rate, 1)))
	defer pace.Stop()
	renewed := time.Now()
	for {
		items, err := r.jobs.Waiting(ctx, j, itemBatch)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return r.finish(ctx, j)
		}
		for _, item := range items {
			if time.Since(renewed) >= renewEvery {
				mine, err := r.jobs.RenewJob(ctx, j, r.owner)
				if err != nil || !mine {
					return err
				}
				renewed = time.Now()
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

// item works on one letter and notes what became of it. An error means that it is to be tried again.
func (r *Runner) item(ctx context.Context, j *deadletter.Job, item deadletter.Item) error {
	ctx, cancel := context.WithTimeout(ctx, itemLimit)
	defer cancel()
	result, detail, err := r.act(ctx, j, item.LetterID)
	if err != nil {
		return err
	}
	return r.jobs.Report(ctx, j, item.Position, result, detail)
}

func (r *Runner) act(ctx context.Context, j *deadletter.Job, letterID uuid.UUID) (result, detail string, err error) {
	if j.Kind == deadletter.JobDiscard {
		_, err = r.desk.Discard(ctx, j.Tenant, letterID, j.Act())
		result = deadletter.ItemDiscarded
	} else {
		var done Redriven
		done, err = r.desk.Redrive(ctx, j.Tenant, letterID, j.Act(), j.IncludeMaybe)
		result, detail = deadletter.ItemRedriven, done.CommandID.String()
		if done.Pending {
			result = deadletter.ItemPending
		}
	}
	var refused *problem.Problem
	switch {
	case err == nil:
		return result, detail, nil
	case !errors.As(err, &refused) || passing[refused.Code]:
		return "", "", err
	case refused.Code == problem.LetterState:
		return r.before(ctx, j, letterID)
	}
	return deadletter.ItemSkipped, string(refused.Code) + ": " + refused.Detail, nil
}

// passing faults concern no letter of its own: the job waits until they are over.
var passing = map[problem.Code]bool{
	problem.QueueFull: true, problem.BrokerUnavailable: true, problem.BrokerBlocked: true, problem.DatabaseUnavailable: true, problem.Internal: true,
}

// before finds out who was there before: this very job, in a process that died before it could note it, or somebody else.
func (r *Runner) before(ctx context.Context, j *deadletter.Job, letterID uuid.UUID) (result, detail string, err error) {
	l, err := r.desk.cfg.Letters.Get(ctx, j.Tenant, letterID)
	switch {
	case err != nil:
		return "", "", err
	case l.JobID != j.JobID:
		return deadletter.ItemSkipped, (&deadletter.StateError{Letter: l}).Error(), nil
	case l.State == deadletter.Redriven:
		return deadletter.ItemRedriven, l.RedrivenAs.String(), nil
	case l.State == deadletter.Redriving:
		return deadletter.ItemPending, l.RedrivenAs.String(), nil
	}
	return deadletter.ItemDiscarded, "", nil
}
