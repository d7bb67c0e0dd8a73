package deadletter

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
)

const (
	forgetSQL = `with gone as (delete from dead_letters where ctid = any(array(select ctid from dead_letters
			where tenant = $1 and state in ('redriven', 'discarded') and changed_at < $2 order by changed_at limit $3 for update skip locked))
			returning letter_id),
		notes as (delete from desk_notes where tenant = $1 and subject in (select letter_id from gone)),
		marks as (delete from desk_marks where tenant = $1 and subject in (select letter_id from gone))
		select count(*) from gone`

	forgetItemsSQL = `delete from desk_job_items where ctid = any(array(select i.ctid from desk_job_items i
		join desk_jobs j using (tenant, job_id) where j.tenant = $1 and j.finished_at < $2 limit $3))`

	forgetJobsSQL = `delete from desk_jobs j where tenant = $1 and finished_at < $2
		and not exists (select from desk_job_items i where i.tenant = j.tenant and i.job_id = j.job_id)`
)

// Forget deletes up to limit letters of a tenant that were redriven or discarded before that time, and returns how
// many; their notes and marks go with them. Open letters, and redrives under way, are never forgotten.
func (s *Store) Forget(ctx context.Context, tenant string, before time.Time, limit int) (gone int64, err error) {
	err = s.pool.QueryRow(ctx, forgetSQL, tenant, before, limit).Scan(&gone)
	return gone, store.Fault("forget dead letters", err)
}

// ForgetJobs deletes up to limit items of jobs that ended before that time, and the jobs that have none left. It
// returns how many items.
func (s *Store) ForgetJobs(ctx context.Context, tenant string, before time.Time, limit int) (int64, error) {
	items, err := s.pool.Exec(ctx, forgetItemsSQL, tenant, before, limit)
	if err == nil && items.RowsAffected() < int64(limit) {
		_, err = s.pool.Exec(ctx, forgetJobsSQL, tenant, before)
	}
	return items.RowsAffected(), store.Fault("forget jobs", err)
}

// Tidy deletes counts that are no longer asked for: of minutes that are long over, and those that have come to nothing.
func (s *Store) Tidy(ctx context.Context, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `delete from dead_letter_counts where ctid = any(array(select ctid from dead_letter_counts
		where n = 0 or width = 1 and bucket < now() - interval '8 days' limit $1))`, limit)
	return tag.RowsAffected(), store.Fault("tidy the counts of dead letters", err)
}

// facetWait bounds how long letters that come wait for TidyFacets.
const facetWait = 100 * time.Millisecond

// TidyFacets looks at up to limit facets behind after (uuid.Nil: from the first), in the order of their groups, and deletes those that no letter
// has any more, with the notes and marks of groups that have none left. It returns how many, and where to go on; uuid.Nil at the
// end. Nobody can write a letter meanwhile, so limit is to be small. While writers are too busy nothing is done.
func (s *Store) TidyFacets(ctx context.Context, tenant string, after uuid.UUID, limit int) (gone int64, next uuid.UUID, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select set_config('lock_timeout', $1, true)`, strconv.FormatInt(facetWait.Milliseconds(), 10)); err != nil {
			return err
		}
		// The lock of migration 009, for writers of letters share it.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(x'637570666163'::bigint)`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select distinct group_id from dead_letter_facets where tenant = $1 and group_id > $2 order by group_id limit $3`,
			tenant, [16]byte(after), limit)
		if err != nil {
			return err
		}
		groups, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
		if err != nil || len(groups) == 0 {
			return err
		}
		if len(groups) == limit {
			next = groups[limit-1]
		}
		tag, err := tx.Exec(ctx, `delete from dead_letter_facets f where tenant = $1 and group_id = any($2) and not exists (select from dead_letters d
			where d.tenant = f.tenant and d.group_id = f.group_id and d.executed = f.executed and d.lane = f.lane)`, tenant, groups)
		if err != nil {
			return err
		}
		gone = tag.RowsAffected()
		for _, table := range []string{"desk_notes", "desk_marks"} {
			if _, err := tx.Exec(ctx, `delete from `+table+` where tenant = $1 and subject = any($2)
				and not exists (select from dead_letter_facets f where f.tenant = $1 and f.group_id = subject)`, tenant, groups); err != nil {
				return err
			}
		}
		return nil
	})
	return gone, next, store.Fault("tidy the facets of dead letters", err)
}

// ForgetSettlements deletes up to limit notes of who settled open commands before that time: the audit trail has them, too.
func (s *Store) ForgetSettlements(ctx context.Context, tenant string, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `delete from desk_settlements where ctid = any(array(select ctid from desk_settlements
		where tenant = $1 and at < $2 order by at limit $3))`, tenant, before, limit)
	return tag.RowsAffected(), store.Fault("forget settlements", err)
}
