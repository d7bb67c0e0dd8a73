package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/internal/session"
)

// maxTries bounds how often a batch that was rolled back for another's sake is run again.
const maxTries = 5

var errTimeout = fmt.Errorf("no answer in time: %w", store.ErrUnavailable)

// work sends batch after batch until the writer stops and nothing waits.
func (w *Writer) work(ctx context.Context) {
	batch := make([]*operation, 0, w.cfg.MaxBatch)
	for {
		select {
		case op := <-w.queue:
			batch = w.gather(append(batch[:0], op))
		case <-w.stopping:
			if batch = w.gather(batch[:0]); len(batch) == 0 {
				return
			}
		}
		w.run(ctx, batch)
	}
}

// gather adds what waits already; it does not wait for more.
func (w *Writer) gather(batch []*operation) []*operation {
	for len(batch) < w.cfg.MaxBatch {
		select {
		case op := <-w.queue:
			batch = append(batch, op)
		default:
			return batch
		}
	}
	return batch
}

// run brings every operation of a batch to its end and answers it.
func (w *Writer) run(ctx context.Context, batch []*operation) {
	ops := slices.DeleteFunc(slices.Clone(batch), func(op *operation) bool {
		return !op.state.CompareAndSwap(waiting, taken)
	})
	order(ops)
	var alone []*operation
	for tries := 0; len(ops) > 0; {
		began := time.Now()
		refused, err := w.attempt(ctx, ops)
		w.metrics.observe(len(ops), time.Since(began))
		switch {
		case err == nil:
			// A claim that neither was inserted nor met a row came between a row and its end: once more.
			if ops = answer(ops); tries < maxTries {
				tries++
				continue
			}
			err = fmt.Errorf("the row kept changing: %w", store.ErrUnavailable)
		case refused >= 0 && len(ops) > 1:
			// One bad row must not take the others down: it goes alone.
			alone = append(alone, ops[refused])
			ops = slices.Delete(ops, refused, refused+1)
			continue
		case postgres.IsRetryable(err) && tries < maxTries:
			tries++
			continue
		}
		fail(ops, err)
		ops = nil
	}
	for _, op := range alone {
		w.runAlone(ctx, op)
	}
}

func (w *Writer) runAlone(ctx context.Context, op *operation) {
	refused, err := w.attempt(ctx, []*operation{op})
	if refused >= 0 {
		w.metrics.refused.Inc()
	}
	op.err = store.Fault("ledger", err)
	op.done <- op
}

// answer tells every operation that came to its end, and returns the others.
func answer(ops []*operation) (again []*operation) {
	return slices.DeleteFunc(ops, func(op *operation) bool {
		if op.kind == claiming && !op.found && op.err == nil {
			return false
		}
		op.err = store.Fault("ledger", op.err)
		op.done <- op
		return true
	})
}

func fail(ops []*operation, err error) {
	err = store.Fault("ledger", err)
	for _, op := range ops {
		op.err = err
		op.done <- op
	}
}

// attempt runs the operations in one round trip and one transaction, and a second round trip for
// those that met another row. refused is the index of the operation whose data the database
// refuses, with err; else -1.
func (w *Writer) attempt(ctx context.Context, ops []*operation) (refused int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.cfg.BatchTimeout, errTimeout)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			// The batch's own end, not a caller's: say so, and that calling again may help.
			err = fmt.Errorf("%w: %v", context.Cause(ctx), err) //nolint:errorlint // hides context.Canceled
		}
	}()
	conn, err := session.Acquire(ctx, w.pool.Pool)
	if err != nil {
		return -1, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	defer conn.Release()
	if refused, err = write(ctx, conn, ops); err != nil {
		return refused, err
	}
	lookUp(ctx, conn, ops)
	return -1, nil
}

// write sends all statements behind one Sync: Postgres runs them as one transaction, which is
// committed when the results are closed without an error.
func write(ctx context.Context, conn *pgxpool.Conn, ops []*operation) (refused int, err error) {
	var batch pgx.Batch
	for _, op := range ops {
		op.queue(&batch)
	}
	results := conn.SendBatch(ctx, &batch)
	for i, op := range ops {
		if err := op.read(results); err != nil {
			_ = results.Close() // says the same again
			if postgres.IsRefusedRow(err) {
				return i, err
			}
			return -1, err
		}
	}
	return -1, results.Close()
}

// lookUp reads the rows that stand in the way of operations which hit nothing of their own. It
// comes after the commit: an error here concerns only these.
func lookUp(ctx context.Context, conn *pgxpool.Conn, ops []*operation) {
	var batch pgx.Batch
	var missed []*operation
	for _, op := range ops {
		if !op.hit {
			missed = append(missed, op)
			op.rowKey().queueSelect(&batch)
		}
	}
	if len(missed) == 0 {
		return
	}
	results := conn.SendBatch(ctx, &batch)
	for _, op := range missed {
		op.err = op.readStanding(results)
	}
	if err := results.Close(); err != nil {
		for _, op := range missed {
			op.err = err
		}
	}
}
