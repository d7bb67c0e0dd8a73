package ops

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/store/deadletter"
)

// settleTime is how long after a command's last moment its outcome may still come to the ledger: a lost worker's
// grace, and the recorder's work.
const settleTime = 30 * time.Second

// done is what became of one letter.
type done struct {
	result, detail string
	// sent is the command that it was sent again as, if it was, and wait how long its outcome is waited for.
	sent uuid.UUID
	wait time.Duration
}

// item works on one letter and notes what became of it. An error means that it is to be tried again.
func (r *Runner) item(ctx context.Context, j *deadletter.Job, item deadletter.Item) error {
	ctx, cancel := context.WithTimeout(ctx, itemLimit)
	defer cancel()
	d, err := r.act(ctx, j, item.LetterID)
	if err != nil {
		return err
	}
	failpoint.Pass(failpoint.AfterItem)
	return r.jobs.Report(ctx, j, item.Position, d.result, d.detail, d.sent, d.wait)
}

func (r *Runner) act(ctx context.Context, j *deadletter.Job, letterID uuid.UUID) (done, error) {
	var d done
	var err error
	switch j.Kind {
	case deadletter.JobDiscard:
		_, err = r.desk.Discard(ctx, j.Tenant, letterID, j.Act())
		d.result = deadletter.ItemDiscarded
	case deadletter.JobUndo:
		_, err = r.desk.Undo(ctx, j.Tenant, letterID, j.Act())
		d.result = deadletter.ItemReopened
	default:
		var sent Redriven
		sent, err = r.desk.Redrive(ctx, j.Tenant, letterID, j.Act(), Wish{IncludeMaybe: j.IncludeMaybe, IncludeHeld: j.IncludeHeld})
		d = sentAs(deadletter.ItemRedriven, sent.CommandID, sent.Lasts)
		if sent.Pending {
			d.result = deadletter.ItemPending
		}
	}
	var refused *problem.Problem
	switch {
	case err == nil:
		return d, nil
	case !errors.As(err, &refused) || passing[refused.Code]:
		return done{}, err
	case refused.Code == problem.LetterState:
		return r.before(ctx, j, letterID)
	}
	return done{result: deadletter.ItemSkipped, detail: string(refused.Code) + ": " + refused.Detail}, nil
}

func sentAs(result string, command uuid.UUID, lasts time.Duration) done {
	return done{result: result, detail: command.String(), sent: command, wait: lasts + settleTime}
}

// passing faults concern no letter of its own: the job waits until they are over.
var passing = map[problem.Code]bool{
	problem.QueueFull: true, problem.BrokerUnavailable: true, problem.BrokerBlocked: true, problem.DatabaseUnavailable: true, problem.Internal: true,
}

// before finds out who was there before: this very job, in a process that died before it could note it, or somebody else.
func (r *Runner) before(ctx context.Context, j *deadletter.Job, letterID uuid.UUID) (done, error) {
	l, err := r.desk.cfg.Letters.Get(ctx, j.Tenant, letterID)
	switch {
	case err != nil:
		return done{}, err
	case l.JobID != j.JobID:
		return done{result: deadletter.ItemSkipped, detail: Refusal(&deadletter.StateError{Letter: l}).Error()}, nil
	case l.State == deadletter.Redriven:
		return sentAs(deadletter.ItemRedriven, l.RedrivenAs, l.Lasts), nil
	case l.State == deadletter.Redriving:
		return sentAs(deadletter.ItemPending, l.RedrivenAs, l.Lasts), nil
	case l.State == deadletter.Open:
		return done{result: deadletter.ItemReopened}, nil
	}
	return done{result: deadletter.ItemDiscarded}, nil
}
