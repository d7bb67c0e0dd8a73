package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
)

const (
	// forgetBatch and rest are the janitor's: rows of one transaction, and how many times as long as it took it rests.
	forgetBatch, rest = 500, 4
	// backlogSQL makes letters that retention has ended.
	backlogSQL = `update dead_letters set state = 'discarded', changed_at = now() - interval '31 days' where tenant = $1 and state = 'open'`
)

// Disturb compares what the recorder settles a second while the janitor deletes, at its own pace, and while it rests, by turns in one database that is
// migrated and empty. backlog is how many letters there are to delete.
func (m *Settling) Disturb(ctx context.Context, pool *postgres.Pool, backlog int, say func(format string, values ...any)) error {
	if err := Fill(ctx, pool, backlog, say); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, backlogSQL, Tenant); err != nil {
		return fmt.Errorf("end letters' retention: %w", err)
	}
	if err := settleDown(ctx, pool); err != nil {
		return err
	}
	var pairs []pair
	for i := range m.Rounds {
		var p pair
		// What comes first goes by turns, so that a table that grows favours neither.
		for _, busy := range []bool{i%2 == 0, i%2 != 0} {
			var err error
			if busy {
				p.with, p.removed, err = m.disturbed(ctx, pool)
			} else {
				p.without, err = m.round(ctx, pool)
			}
			if err != nil {
				return err
			}
		}
		pairs = append(pairs, p)
	}
	return table(m.Out, "with the janitor at work, and without", pairs)
}

// disturbed is a round with the janitor beside it.
func (m *Settling) disturbed(ctx context.Context, pool *postgres.Pool) (rate float64, removed int64, err error) {
	working, stop := context.WithCancel(ctx)
	var janitor error
	done := make(chan struct{})
	go func() {
		defer close(done)
		removed, janitor = clean(working, pool)
	}()
	rate, err = m.round(ctx, pool)
	stop()
	<-done
	return rate, removed, errors.Join(err, janitor)
}

// clean does what the janitor does, until ctx is done, but each step once at least: it adds up counts, and deletes letters and decided commands.
func clean(ctx context.Context, pool *postgres.Pool) (removed int64, err error) {
	letters, commands := deadletter.New(pool), ledger.NewReader(pool)
	began := time.Now()
	steps := []func(ctx context.Context) (int64, error){
		func(ctx context.Context) (int64, error) {
			_, err := letters.AddUp(ctx, batch)
			return 0, err
		},
		func(ctx context.Context) (int64, error) {
			n, err := letters.Forget(ctx, Tenant, began.Add(-24*time.Hour), forgetBatch)
			removed += n
			return n, err
		},
		func(ctx context.Context) (int64, error) { // those of earlier rounds
			n, _, err := commands.Forget(ctx, time.Time{}, ledger.Before{Otherwise: began}, forgetBatch)
			removed += n
			return n, err
		},
	}
	for pass := 0; ; pass++ {
		for _, step := range steps {
			began := time.Now()
			if _, err := step(context.WithoutCancel(ctx)); err != nil {
				return removed, err
			}
			select {
			case <-time.After(max(rest*time.Since(began), time.Millisecond)):
			case <-ctx.Done():
				if pass > 0 {
					return removed, nil
				}
			}
		}
	}
}
