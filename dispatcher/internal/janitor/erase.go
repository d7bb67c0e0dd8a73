package janitor

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/erasure"
	"github.com/cupline/cupline/store/retention"
)

// mostErasures bounds those of one look; the others have their turn in the next.
const mostErasures = 16

// erase does what there is to do for erasures.
func (j *Janitor) erase(ctx context.Context) error {
	open, err := j.erasures.Open(ctx, mostErasures)
	if err != nil {
		return err
	}
	for i := range open {
		e := &open[i]
		if err := j.eraseOne(ctx, e); err != nil && ctx.Err() == nil {
			// One that cannot go on keeps no other from it, nor retention.
			j.cfg.Log.Warn("an erasure waits", zap.String("tenant", e.Tenant), zap.Stringer("erasure_id", e.ErasureID), zap.Error(err))
		}
	}
	return nil
}

// eraseOne does one round. The first empties what there is. Commands that were under way then may still leave letters,
// outcomes and rows of the ledger, which never-twice needs as long as a copy may come out of a lane: so the second round
// comes when none can any more, and deletes these, too.
func (j *Janitor) eraseOne(ctx context.Context, e *erasure.Erasure) error {
	lanes, err := j.cfg.Lanes(ctx)
	if err != nil {
		return err
	}
	due := e.Created.Add(retention.Floor(lanes))
	until := e.Created
	if e.State == erasure.Waiting {
		until = e.Due
	}
	act := deadletter.Act{Actor: e.Actor, Reason: "erased: " + e.Reason}
	for _, kind := range []struct {
		what string
		step func(ctx context.Context) (int64, error)
	}{
		{"erased_letters", func(ctx context.Context) (int64, error) {
			n, err := j.letters.Erase(ctx, e.Tenant, e.Client, until, act, j.cfg.Batch)
			return n, joined(err, func() error { return j.erasures.Advance(ctx, e, n, 0, 0) })
		}},
		{"erased_outcomes", func(ctx context.Context) (int64, error) {
			n, err := j.mailbox.Erase(ctx, e.Tenant, e.Client, until, j.cfg.Batch)
			return n, joined(err, func() error { return j.erasures.Advance(ctx, e, 0, n, 0) })
		}},
	} {
		if err := j.batches(ctx, kind.what, kind.step); err != nil {
			return err
		}
	}
	if e.State == erasure.Running {
		return j.erasures.Wait(ctx, e, due)
	}
	open := false
	err = j.batches(ctx, "erased_commands", func(ctx context.Context) (n int64, err error) {
		n, open, err = j.ledger.Erase(ctx, e.Tenant, e.Client, e.Created, j.cfg.Batch)
		return n, joined(err, func() error { return j.erasures.Advance(ctx, e, 0, 0, n) })
	})
	if err != nil || open {
		return err // an open row is settled by its worker, or by an operator
	}
	j.cfg.Log.Info("erased", zap.String("tenant", e.Tenant), zap.String("client", e.Client), zap.Stringer("erasure_id", e.ErasureID),
		zap.Duration("took", time.Since(e.Created)))
	return j.erasures.Finish(ctx, e)
}

// joined notes what was done even before a fault is told.
func joined(err error, note func() error) error {
	if err != nil {
		return err
	}
	return note()
}
