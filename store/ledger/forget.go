package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
)

// What was decided before was made before, too: the order of age finds it. Of what a tenant's term keeps nothing is
// deleted, and the next stretch begins behind it.
const forgetSQL = `with stretch as materialized (
		select ctid, tenant, created_at, decided_at from ledger
		where created_at >= coalesce($1, '-infinity'::timestamptz) and created_at < $2 order by created_at limit $3),
	gone as (
		delete from ledger where ctid = any(array(select s.ctid from stretch s
			left join unnest($4::text[], $5::timestamptz[]) as t (tenant, before) using (tenant)
			where s.decided_at < coalesce(t.before, $6))) and decided_at is not null returning 1)
	select (select count(*) from stretch), (select max(created_at) from stretch), (select count(*) from gone)`

// Before is a moment for each tenant; Otherwise that of one which is not in Tenants.
type Before struct {
	Tenants   map[string]time.Time
	Otherwise time.Time
}

// latest of all.
func (b *Before) latest() time.Time {
	latest := b.Otherwise
	for _, t := range b.Tenants {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

// Forget looks at limit rows that were made at a time or later (zero: from the oldest on), and deletes those that were
// decided before their tenant's moment. It returns how many, and where to go on; zero at the end. Open rows are
// never deleted.
func (r *Reader) Forget(ctx context.Context, from time.Time, before Before, limit int) (gone int64, next time.Time, err error) {
	tenants, moments := make([]string, 0, len(before.Tenants)), make([]time.Time, 0, len(before.Tenants))
	for tenant, moment := range before.Tenants {
		tenants, moments = append(tenants, tenant), append(moments, moment)
	}
	var read int
	var last zeronull.Timestamptz
	err = r.pool.QueryRow(ctx, forgetSQL, zeronull.Timestamptz(from), before.latest(), limit, tenants, moments, before.Otherwise).
		Scan(&read, &last, &gone)
	if err != nil {
		return 0, time.Time{}, store.Fault("forget rows of the ledger", err)
	}
	if read < limit {
		return gone, time.Time{}, nil
	}
	next = time.Time(last)
	if gone == 0 && next.Equal(from) {
		next = next.Add(time.Microsecond) // more rows of one moment than limit, all of them kept
	}
	return gone, next, nil
}
