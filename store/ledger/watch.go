package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
)

// WatchAge is how old a row is when it is looked at whether it is still open. What was begun before has committed by then.
const WatchAge = time.Hour

// Watch reads the next limit rows, in the order of age, that have become WatchAge old, and notes those that are open; what was noted and is
// decided by now is forgotten once it has read all there is. more says that there are further rows. Overdue and
// CountOverdue answer from its notes. It may be called by several at once: then the same rows are noted, once.
func (r *Reader) Watch(ctx context.Context, limit int) (more bool, err error) {
	err = pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		var from, edge zeronull.Timestamptz
		var horizon time.Time
		if err := tx.QueryRow(ctx, `select (select until from ledger_watch), now() - $1::interval`, WatchAge).Scan(&from, &horizon); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `select (select created_at from ledger where created_at > coalesce($1, '-infinity'::timestamptz) and created_at < $2
			order by created_at offset $3 limit 1)`, from, horizon, limit).Scan(&edge); err != nil {
			return err
		}
		until := horizon
		if more = !time.Time(edge).IsZero(); more {
			until = time.Time(edge)
		}
		var batch pgx.Batch
		batch.Queue(`insert into commands_left_open (tenant, created_at, command_id) select tenant, created_at, command_id from ledger
			where created_at > coalesce($1, '-infinity'::timestamptz) and created_at <= $2 and outcome is null on conflict do nothing`, from, until)
		batch.Queue(`insert into ledger_watch (until) values ($1) on conflict (one) do update set until = greatest(ledger_watch.until, excluded.until)`, until)
		if !more {
			batch.Queue(`delete from commands_left_open c where not exists (select from ledger l
				where l.command_id = c.command_id and l.tenant = c.tenant and l.outcome is null)`)
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
	return more, store.Fault("watch what stays open", err)
}

// mostCounted bounds CountOverdue.
const mostCounted = 100_000

// CountOverdue counts the open rows of all tenants, of those that Watch has noted, whose worker counts as lost since that long ago.
// It stops at 100,000.
func (r *Reader) CountOverdue(ctx context.Context, since time.Duration) (n int64, err error) {
	err = r.pool.QueryRow(store.ForEveryTenant(ctx), `select count(*) from (select from commands_left_open c
		join ledger l on l.command_id = c.command_id and l.tenant = c.tenant
		where l.outcome is null and l.started_at + l.timeout_ms * interval '1 millisecond' + $1::interval < clock_timestamp() limit $2) as overdue`,
		since+Grace, mostCounted).Scan(&n)
	return n, store.Fault("count what stays open", err)
}
