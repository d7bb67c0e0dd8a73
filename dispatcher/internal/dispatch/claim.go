package dispatch

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
)

// claim starts the command in the ledger and executes it if it is ours to execute. A
// time means that another worker has it until then.
func (e *Engine) claim(ctx context.Context, r *run) (Verdict, time.Time, error) {
	c := r.command
	row, err := e.ask(ctx, "claim", func() (Row, error) { return e.cfg.Ledger.Claim(ctx, c, r.token) })
	for {
		if err != nil {
			verdict, err := e.refused(r, err)
			return verdict, time.Time{}, err
		}
		step := judge(c, r.token, &row, e.cfg.Clock.Now())
		if step != stepStart {
			e.cfg.Metrics.conflicts.WithLabelValues(string(step)).Inc()
		}
		switch step {
		case stepStart:
			failpoint.Pass(failpoint.AfterClaim)
			verdict, err := e.execute(ctx, r, row.Started)
			return verdict, time.Time{}, err
		case stepHold:
			return Verdict{}, row.LostAt(), nil
		case stepAgain:
			// From here on it may have run before us, also when the reclaim's answer is lost.
			r.again, r.mayHaveRun = true, true
			old := row.Token
			row, err = e.ask(ctx, "reclaim", func() (Row, error) { return e.cfg.Ledger.Reclaim(ctx, c, old, r.token) })
		default:
			return settle(c, step, &row), time.Time{}, nil
		}
	}
}

// ask calls the ledger until it answers.
func (e *Engine) ask(ctx context.Context, what string, call func() (Row, error)) (row Row, err error) {
	err = e.patience.until(ctx, what, func() (err error) {
		row, err = call()
		return err
	})
	return row, err
}

// refused is the verdict when the ledger did not answer, or refuses the data.
func (e *Engine) refused(r *run, err error) (Verdict, error) {
	if !errors.Is(err, ErrUnrecordable) {
		return Verdict{}, interrupted(err)
	}
	c := r.command
	e.cfg.Log.Error("the ledger refuses a command", zap.Error(err),
		zap.String("tenant", c.Tenant), zap.String("client", c.Client), zap.ByteString("id", c.Request.ID.Raw),
		zap.Stringer("command_id", c.ID), zap.String("device", c.Device), zap.String("lane", c.Lane),
		zap.String("reason", string(outcome.Unrecordable)), telemetry.TraceID(c.Trace.Parent))
	return r.bury(outcome.Unrecordable, ""), nil
}

// settle is the verdict of a row that leaves nothing to execute.
func settle(c *Command, step step, row *Row) Verdict {
	switch step {
	case stepTell:
		verdict := Verdict{Outcome: c.Outcome(row.Decided)}
		if row.CommandID != c.ID {
			verdict.Ending = c.Ended(EndRepeated, row.Decided.At)
		}
		return verdict
	case stepDuplicate:
		return Verdict{Letter: &envelope.Verdict{
			Reason:         outcome.DuplicateID,
			FirstCommandID: row.CommandID.String(),
			FirstState:     row.State(),
		}}
	case stepLost:
		// Without a claim token: the recorder looks by itself whether that worker is gone.
		return Verdict{Letter: &envelope.Verdict{Reason: outcome.WorkerLost}}
	}
	return Verdict{Ending: Ending{Word: EndRepeated, Trace: c.Trace}} // forget: the first copy answers
}

// bury is the verdict of a run that ended without the device's answer.
func (r *run) bury(reason outcome.Reason, detail string) Verdict {
	if r.mayHaveRun && reason != outcome.Expired && reason.Executed(true) == outcome.No {
		// This run did not reach the device, but one before may have: "not executed" would be
		// a lie. (Without a ledger, the recorder says "maybe" of expired by itself.)
		detail = "run again after its worker was lost: " + string(reason) + ": " + detail
		reason = outcome.WorkerLost
	}
	letter := &envelope.Verdict{Reason: reason, Detail: detail}
	if !r.command.Unledgered {
		letter.Claim = r.token
	}
	return Verdict{Letter: letter}
}
