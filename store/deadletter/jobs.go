package deadletter

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
)

// Job returns one with its results, or ErrNoJob.
func (s *Store) Job(ctx context.Context, tenant string, jobID uuid.UUID) (j Job, err error) {
	err = j.scan(s.pool.QueryRow(ctx, `select `+jobColumns+` from desk_jobs where tenant = $1 and job_id = $2`, tenant, [16]byte(jobID)))
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, ErrNoJob
	}
	if err != nil {
		return Job{}, store.Fault("read a job", err)
	}
	one := []Job{j}
	err = s.count(ctx, tenant, one)
	return one[0], err
}

// JobFilter chooses jobs. Fields at their zero value do not choose.
type JobFilter struct{ Tenant, Kind, State string }

// Jobs returns up to limit jobs with their results, newest first, from behind after on (uuid.Nil: from the newest).
func (s *Store) Jobs(ctx context.Context, f JobFilter, after uuid.UUID, limit int) ([]Job, error) {
	// A job's id begins with the time it was made.
	rows, err := s.pool.Query(ctx, `select `+jobColumns+` from desk_jobs where tenant = $1 and ($2 = '' or kind = $2)
		and ($3 = '' or state = $3) and ($4::uuid is null or job_id < $4) order by job_id desc limit $5`,
		f.Tenant, f.Kind, f.State, zeronull.UUID(after), limit)
	if err != nil {
		return nil, store.Fault("list jobs", err)
	}
	jobs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (j Job, err error) {
		err = j.scan(row)
		return j, err
	})
	if err != nil {
		return nil, store.Fault("list jobs", err)
	}
	return jobs, s.count(ctx, f.Tenant, jobs)
}

// count fills in the jobs' results.
func (s *Store) count(ctx context.Context, tenant string, jobs []Job) error {
	ids, at := make([][16]byte, len(jobs)), make(map[uuid.UUID]*Job, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		j.Results, j.Outcomes = map[string]int64{}, map[string]int64{}
		ids[i], at[j.JobID] = j.JobID, j
	}
	rows, err := s.pool.Query(ctx, `select job_id, result, command_id is not null, outcome, count(*) from desk_job_items
		where tenant = $1 and job_id = any($2) group by 1, 2, 3, 4`, tenant, ids)
	if err != nil {
		return store.Fault("count jobs' items", err)
	}
	var id uuid.UUID
	var result, outcome string
	var sent bool
	var n int64
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &result, &sent, &outcome, &n}, func() error {
		at[id].Results[result] += n
		if sent {
			at[id].Outcomes[outcome] += n
		}
		return nil
	})
	return store.Fault("count jobs' items", err)
}
