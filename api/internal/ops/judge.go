package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/store/deadletter"
)

// Outcomes is what is known of the commands that jobs have sent.
type Outcomes interface {
	Outcomes(ctx context.Context, limit int, name func(*deadletter.Ended) string) (int, error)
	Tally(ctx context.Context, j *deadletter.Job) (deadletter.Tally, error)
	PassCanary(ctx context.Context, j *deadletter.Job, judged int64) error
	StopJob(ctx context.Context, j *deadletter.Job, why string) error
}

// errCanary says that a job waits for its canary's outcomes.
var errCanary = errors.New("the canary's outcomes are waited for")

// outcomeBatch is the most outcomes that are noted in one go.
const outcomeBatch = 500

// Collect notes what the commands of all jobs came to meanwhile.
func (r *Runner) Collect(ctx context.Context) error {
	for {
		n, err := r.jobs.Outcomes(ctx, outcomeBatch, nameOutcome)
		if err != nil || n < outcomeBatch {
			return err
		}
	}
}

// nameOutcome is the word for what a command came to.
func nameOutcome(e *deadletter.Ended) string {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.Response == nil:
		return deadletter.OutcomeUnknown
	case len(e.Response) == 0: // a one-way command that ran
		return deadletter.OutcomeAnswered
	}
	if response, err := jsonrpc.ParseResponse(e.Response); err != nil || response.Failed {
		return deadletter.OutcomeDeviceError
	}
	return deadletter.OutcomeAnswered
}

// judge holds a redrive to its bounds: it is false once the job has stopped itself, and errCanary while
// the canary's outcomes are not all known.
func (r *Runner) judge(ctx context.Context, j *deadletter.Job) (goOn bool, err error) {
	if j.Kind != deadletter.JobRedrive || !j.CanaryDue && j.StopAbove >= 100 {
		return true, nil
	}
	t, err := r.jobs.Tally(ctx, j)
	if err != nil {
		return false, err
	}
	if j.CanaryDue {
		switch {
		case t.Sent < int64(j.Canary):
			return true, nil
		case t.Awaited > 0:
			return false, errCanary
		case t.Known == 0:
			return false, r.stopJob(ctx, j, "no outcome of the canary is known")
		case tooMany(j, &t):
			return false, r.stopJob(ctx, j, fmt.Sprintf("%d of the canary's %d known outcomes are failures, more than %d %%", t.Failed, t.Known, j.StopAbove))
		}
		return true, r.jobs.PassCanary(ctx, j, t.Last)
	}
	if t.Known >= int64(j.StopAfter) && tooMany(j, &t) {
		return false, r.stopJob(ctx, j, fmt.Sprintf("%d of %d known outcomes are failures, more than %d %%", t.Failed, t.Known, j.StopAbove))
	}
	return true, nil
}

func tooMany(j *deadletter.Job, t *deadletter.Tally) bool {
	return t.Failed*100 > int64(j.StopAbove)*t.Known
}

func (r *Runner) stopJob(ctx context.Context, j *deadletter.Job, why string) error {
	err := r.jobs.StopJob(ctx, j, why)
	var changed *deadletter.JobError
	if errors.As(err, &changed) {
		return nil // paused or cancelled in the same moment
	}
	return err
}
