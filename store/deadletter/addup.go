package deadletter

import (
	"context"

	"github.com/cupline/cupline/store"
)

// addUpSQL moves changes into the counts. date_bin's origin is that of time.Time.Truncate, which splits spans.
const addUpSQL = `with taken as (
		delete from dead_letter_changes where ctid = any(array(
			select ctid from dead_letter_changes limit $1)) returning *),
	summed as (
		select tenant, width, date_bin(width * interval '1 minute', minute, '0001-01-01 00:00:00+00') as bucket,
			group_id, executed, lane, state, sum(n) as n
		from taken cross join (values (1), (60), (1440), (10080), (524160)) as w (width)
		where width > 1 or minute > now() - interval '8 days'
		group by 1, 2, 3, 4, 5, 6, 7 having sum(n) <> 0),
	added as (
		insert into dead_letter_counts (tenant, width, bucket, group_id, executed, lane, state, n)
		select * from summed order by 1, 2, 3, 4, 5, 6, 7
		on conflict (tenant, width, bucket, group_id, executed, lane, state) do update set n = dead_letter_counts.n + excluded.n)
	select count(*) from taken`

// AddUp moves up to limit changes into the counts, and returns how many there were: fewer than limit when
// there are no more. Whoever reads the counts finds each change in one place or the other.
func (s *Store) AddUp(ctx context.Context, limit int) (moved int, err error) {
	err = s.pool.QueryRow(ctx, addUpSQL, limit).Scan(&moved)
	return moved, store.Fault("add up the counts of dead letters", err)
}
