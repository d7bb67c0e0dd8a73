package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
)

// Recently is how many of the newest rows the questions of this file look at, whatever they choose of them: the ledger
// has no index for them, on purpose (docs/decisions/0008), so that they are bounded by what they read.
const Recently = 50_000

// since is when the Recently-th newest row was made, or at if there are fewer since then. It is asked of the rows of all
// tenants, and tells nothing else of them: behind the wall around one tenant the newest rows would be that tenant's own, for
// which everybody else's are read as well, however many there are.
func (r *Reader) since(ctx context.Context, at time.Time) (time.Time, error) {
	var bound time.Time
	err := r.pool.QueryRow(store.ForEveryTenant(ctx), `select coalesce((select created_at from ledger where created_at >= $1
		order by created_at desc offset $2 limit 1), $1)`, at, Recently-1).Scan(&bound)
	return bound, store.Fault("bound a look at the ledger", err)
}

// Choice of rows; all that is set must hold.
type Choice struct {
	// Tenant whose rows they are. Required.
	Tenant string
	// Since is when they were made, at the earliest.
	Since                  time.Time
	Client, Device, Method string
	// Reason of the outcome, as schema/outcome has it.
	Reason string
	// State is "open", "answered" (by the device), "failed" (by the platform), or empty for all.
	State string
}

// Recent returns up to limit rows, newest first, among the newest Recently of all tenants.
func (r *Reader) Recent(ctx context.Context, c Choice, limit int) ([]Row, error) {
	since, err := r.since(ctx, c.Since)
	if err != nil {
		return nil, err
	}
	const query = `select ` + columns + ` from ledger where created_at >= $1 and tenant = $2 and ($3 = '' or client = $3) and ($4 = '' or device = $4)
		and ($5 = '' or method = $5) and ($6 = '' or reason = $6)
		and case $7 when 'open' then outcome is null when 'answered' then origin = 'device' when 'failed' then origin = 'platform' else true end
		order by created_at desc limit $8`
	rows, err := r.pool.Query(ctx, query, since, c.Tenant, c.Client, c.Device, c.Method, c.Reason, c.State, limit)
	if err != nil {
		return nil, store.Fault("read the ledger", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Row, error) { return scan(row) })
	return found, store.Fault("read the ledger", err)
}

// Tally is how commands ended.
type Tally struct {
	// From is the time since which all are counted: as asked for, or later where more than Recently rows are younger.
	From time.Time
	// Open have no outcome yet, Answered one of their device.
	Open, Answered int64
	// Failed counts the platform's outcomes by reason.
	Failed map[string]int64
}

// Count tells how a tenant's commands ended that were made since then.
func (r *Reader) Count(ctx context.Context, tenant string, since time.Time) (Tally, error) {
	t := Tally{From: since, Failed: map[string]int64{}}
	bound, err := r.since(ctx, since)
	if err != nil {
		return t, err
	}
	t.From = bound
	const query = `select outcome is null, origin, reason, count(*) from ledger where created_at >= $1 and tenant = $2 group by 1, 2, 3`
	rows, err := r.pool.Query(ctx, query, bound, tenant)
	if err != nil {
		return t, store.Fault("count the ledger", err)
	}
	var (
		open           bool
		origin, reason string
		count          int64
	)
	_, err = pgx.ForEachRow(rows, []any{&open, &origin, &reason, &count}, func() error {
		switch {
		case open:
			t.Open += count
		case origin == "platform":
			t.Failed[reason] += count
		default:
			t.Answered += count
		}
		return nil
	})
	return t, store.Fault("count the ledger", err)
}
