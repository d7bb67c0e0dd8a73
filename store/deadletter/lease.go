package deadletter

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// LeaseJob gives a process one running job that nobody works on, for Lease; found is false when there is none.
func (s *Store) LeaseJob(ctx context.Context, owner uuid.UUID) (j Job, found bool, err error) {
	err = j.scan(s.pool.QueryRow(store.ForEveryTenant(ctx), `update desk_jobs set lease_owner = $1, leased_until = clock_timestamp() + $2::interval
		where ctid = any(array(select ctid from desk_jobs where state = 'running'
			and (leased_until is null or leased_until < clock_timestamp()) order by leased_until nulls first, created_at limit 1 for update skip locked))
		returning `+jobColumns, [16]byte(owner), Lease))
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, false, nil
	}
	return j, err == nil, store.Fault("lease a job", err)
}

// RenewJob keeps the lease for another Lease. It is false once the job no longer runs, or another
// has it: then nothing more may be done for it.
func (s *Store) RenewJob(ctx context.Context, j *Job, owner uuid.UUID) (bool, error) {
	tag, err := s.pool.Exec(ctx, `update desk_jobs set leased_until = clock_timestamp() + $4::interval
		where tenant = $1 and job_id = $2 and lease_owner = $3 and state = 'running'`, j.Tenant, [16]byte(j.JobID), [16]byte(owner), Lease)
	return tag.RowsAffected() == 1, store.Fault("renew a job's lease", err)
}

// ReleaseJob gives the lease back, so that another need not wait for its end; it is given to nobody for that rest.
func (s *Store) ReleaseJob(ctx context.Context, j *Job, owner uuid.UUID, rest time.Duration) error {
	_, err := s.pool.Exec(ctx, `update desk_jobs set leased_until = case when $4::interval > '0s' then clock_timestamp() + $4 end
		where tenant = $1 and job_id = $2 and lease_owner = $3`, j.Tenant, [16]byte(j.JobID), [16]byte(owner), rest)
	return store.Fault("release a job", err)
}

// PassCanary lets the rest of a job go; its canary's outcomes no longer count.
func (s *Store) PassCanary(ctx context.Context, j *Job, judged int64) error {
	_, err := s.pool.Exec(ctx, `update desk_jobs set canary_due = false, judged_from = $3 where tenant = $1 and job_id = $2`,
		j.Tenant, [16]byte(j.JobID), judged)
	if err != nil {
		return store.Fault("pass a job's canary", err)
	}
	j.CanaryDue, j.JudgedFrom = false, judged
	return nil
}

// ChangeJob moves a job from one of some states to another and notes who did it: ErrNoJob, or a
// *JobError when it is in none of them. Whoever lets a job run again that stopped itself takes its outcomes as they
// are: only later ones are judged.
func (s *Store) ChangeJob(ctx context.Context, tenant string, jobID uuid.UUID, act Act, to string, from ...string) error {
	return s.changeJob(ctx, tenant, jobID, act, to, "", from...)
}

// StopJob pauses a running job on its own account, and says why.
func (s *Store) StopJob(ctx context.Context, j *Job, why string) error {
	return s.changeJob(ctx, j.Tenant, j.JobID, Act{Reason: "stopped by itself: " + why}, JobPaused, why, JobRunning)
}

func (s *Store) changeJob(ctx context.Context, tenant string, jobID uuid.UUID, act Act, to, stopped string, from ...string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var state string
		err := tx.QueryRow(ctx, `select state from desk_jobs where tenant = $1 and job_id = $2 for update`, tenant, [16]byte(jobID)).Scan(&state)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return ErrNoJob
		case err != nil:
			return err
		case !slices.Contains(from, state):
			return &JobError{State: state}
		}
		finished := to == JobDone || to == JobCancelled
		if _, err := tx.Exec(ctx, `update desk_jobs set state = $3, stopped = $5, finished_at = case when $4 then clock_timestamp() end,
			canary_due = canary_due and not ($3 = 'running' and stopped <> ''),
			judged_from = case when $3 = 'running' and stopped <> '' then coalesce((select max(position) from desk_job_items i
				where i.tenant = $1 and i.job_id = $2 and i.result <> ''), 0) else judged_from end
			where tenant = $1 and job_id = $2`, tenant, [16]byte(jobID), to, finished, stopped); err != nil {
			return err
		}
		j := Job{Tenant: tenant, JobID: jobID}
		var trail pgx.Batch
		audit.Queue(&trail, j.entry("job_"+to, act, "was "+state))
		return tx.SendBatch(ctx, &trail).Close()
	})
	return store.Fault("change a job", err)
}
