package deadletter

import (
	"context"
	"time"

	"github.com/cupline/cupline/store"
)

const (
	forgetSQL = `delete from dead_letters where ctid = any(array(select ctid from dead_letters
		where tenant = $1 and state in ('redriven', 'discarded') and changed_at < $2 order by changed_at limit $3 for update skip locked))`

	forgetItemsSQL = `delete from desk_job_items where ctid = any(array(select i.ctid from desk_job_items i
		join desk_jobs j using (tenant, job_id) where j.tenant = $1 and j.finished_at < $2 limit $3))`

	forgetJobsSQL = `delete from desk_jobs j where tenant = $1 and finished_at < $2
		and not exists (select from desk_job_items i where i.tenant = j.tenant and i.job_id = j.job_id)`
)

// Forget deletes up to limit letters of a tenant that were redriven or discarded before that time, and returns how
// many. Open letters, and redrives under way, are never forgotten.
func (s *Store) Forget(ctx context.Context, tenant string, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, forgetSQL, tenant, before, limit)
	return tag.RowsAffected(), store.Fault("forget dead letters", err)
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
