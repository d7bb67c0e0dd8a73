package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// What a job does, and the states it can be in.
const (
	JobRedrive = "redrive"
	JobDiscard = "discard"

	JobRunning   = "running"
	JobPaused    = "paused"
	JobCancelled = "cancelled"
	JobDone      = "done"
)

// What became of one letter of a job; empty while it waits.
const (
	ItemRedriven  = "redriven"
	ItemDiscarded = "discarded"
	// ItemPending letters are committed to their command, which the broker has not confirmed yet.
	ItemPending = "pending"
	// ItemSkipped letters were left as they were; the item's detail says why.
	ItemSkipped = "skipped"
)

// MaxJob is the most letters of one job.
const MaxJob = 100_000

var (
	// ErrNoJob says that there is no such job.
	ErrNoJob = errors.New("no such job")
	// ErrTooMany says that a filter chooses more than MaxJob letters.
	ErrTooMany = fmt.Errorf("more than %d letters", MaxJob)
)

// Job acts on many letters, which were chosen when it was made.
type Job struct {
	JobID uuid.UUID
	// Tenant's are its letters.
	Tenant string
	Kind   string
	State  string
	Filter Filter
	// IncludeMaybe also redrives what may have been executed.
	IncludeMaybe bool
	// Rate is the most letters a second.
	Rate          int
	Total         int64
	Actor, Reason string
	Created       time.Time
	// Finished is zero until it is done or cancelled.
	Finished time.Time
	// Results counts items by what became of them; "" counts those that wait. Only Job and Jobs fill it.
	Results map[string]int64
}

// Act is the job's on each of its letters.
func (j *Job) Act() Act { return Act{Actor: j.Actor, Reason: j.Reason, JobID: j.JobID} }

// Item is one letter of a job.
type Item struct {
	Position int64
	LetterID uuid.UUID
	Result   string
	Detail   string
	Done     time.Time
}

// JobError says that a job is not in a state that allows a change.
type JobError struct{ State string }

func (e *JobError) Error() string { return "the job is " + e.State }

const jobColumns = `tenant, job_id, kind, state, filter, include_maybe, rate, total, actor, reason, created_at, finished_at`

func (j *Job) scan(row pgx.Row) error {
	var filter []byte
	err := row.Scan(&j.Tenant, (*[16]byte)(&j.JobID), &j.Kind, &j.State, &filter, &j.IncludeMaybe, &j.Rate, &j.Total, &j.Actor,
		&j.Reason, &j.Created, (*zeronull.Timestamptz)(&j.Finished))
	if err != nil {
		return err
	}
	j.Created, j.Finished = j.Created.UTC(), j.Finished.UTC()
	err = json.Unmarshal(filter, &j.Filter)
	j.Filter.Tenant = j.Tenant
	return err
}

// NewJob makes a job and chooses its letters: the open ones that its filter finds, oldest first. JobID,
// State, Total and the times are set here. ErrTooMany when there are more than MaxJob.
func (s *Store) NewJob(ctx context.Context, j Job) (Job, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, fmt.Errorf("make a job's id: %w", err)
	}
	j.JobID, j.Filter.Tenant, j.Filter.State = id, j.Tenant, Open
	filter, err := json.Marshal(j.Filter)
	if err != nil {
		return Job{}, fmt.Errorf("write a job's filter: %w", err)
	}
	act := j.Act()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into desk_jobs (tenant, job_id, kind, state, filter, include_maybe, rate, total, actor, reason)
			values ($1, $2, $3, 'running', $4, $5, $6, 0, $7, $8)`,
			j.Tenant, [16]byte(id), j.Kind, filter, j.IncludeMaybe, j.Rate, act.actor(), act.why())
		if err != nil {
			return err
		}
		c := j.Filter.clause()
		job, most := c.arg([16]byte(id)), c.arg(MaxJob+1)
		tag, err := tx.Exec(ctx, `insert into desk_job_items (tenant, job_id, position, letter_id)
			select tenant, `+job+`::uuid, row_number() over (order by died_at, letter_id), letter_id
			from dead_letters where `+c.sql()+` order by died_at, letter_id limit `+most, c.args...)
		if err != nil {
			return err
		}
		if tag.RowsAffected() > MaxJob {
			return ErrTooMany
		}
		if err := j.scan(tx.QueryRow(ctx, `update desk_jobs set total = $3 where tenant = $1 and job_id = $2 returning `+jobColumns,
			j.Tenant, [16]byte(id), tag.RowsAffected())); err != nil {
			return err
		}
		var trail pgx.Batch
		audit.Queue(&trail, j.entry("job_started", act, fmt.Sprintf("%s of %d letters, %s", j.Kind, j.Total, filter)))
		return tx.SendBatch(ctx, &trail).Close()
	})
	j.Results = map[string]int64{"": j.Total}
	return j, store.Fault("make a job", err)
}

func (j *Job) entry(action string, act Act, detail string) audit.Entry {
	return audit.Entry{
		Tenant: j.Tenant, Stage: audit.StageOperator, Action: action, Actor: act.Actor,
		Detail: "job " + j.JobID.String() + ": " + act.Reason + "; " + detail,
	}
}

// Job returns one with its results, or ErrNoJob.
func (s *Store) Job(ctx context.Context, tenant string, jobID uuid.UUID) (j Job, err error) {
	err = j.scan(s.pool.QueryRow(ctx, `select `+jobColumns+` from desk_jobs where tenant = $1 and job_id = $2`, tenant, [16]byte(jobID)))
	if errors.Is(err, pgx.ErrNoRows) {
		return Job{}, ErrNoJob
	}
	if err != nil {
		return Job{}, store.Fault("read a job", err)
	}
	rows, err := s.pool.Query(ctx, `select result, count(*) from desk_job_items where tenant = $1 and job_id = $2 group by result`,
		tenant, [16]byte(jobID))
	if err != nil {
		return Job{}, store.Fault("read a job", err)
	}
	j.Results = map[string]int64{}
	var result string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&result, &n}, func() error {
		j.Results[result] = n
		return nil
	})
	return j, store.Fault("read a job", err)
}

// Items returns up to limit items of a job behind a position (0: from the first), in order.
func (s *Store) Items(ctx context.Context, tenant string, jobID uuid.UUID, after int64, limit int) ([]Item, error) {
	return s.items(ctx, `tenant = $1 and job_id = $2 and position > $3 order by position limit $4`, tenant, [16]byte(jobID), after, limit)
}

// Waiting returns up to limit items that nothing was done about yet, in order.
func (s *Store) Waiting(ctx context.Context, j *Job, limit int) ([]Item, error) {
	return s.items(ctx, `tenant = $1 and job_id = $2 and result = '' order by position limit $3`, j.Tenant, [16]byte(j.JobID), limit)
}

func (s *Store) items(ctx context.Context, where string, args ...any) ([]Item, error) {
	rows, err := s.pool.Query(ctx, `select position, letter_id, result, detail, done_at from desk_job_items where `+where, args...)
	if err != nil {
		return nil, store.Fault("read a job's items", err)
	}
	items, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i Item, err error) {
		err = row.Scan(&i.Position, (*[16]byte)(&i.LetterID), &i.Result, &i.Detail, (*zeronull.Timestamptz)(&i.Done))
		i.Done = i.Done.UTC()
		return i, err
	})
	return items, store.Fault("read a job's items", err)
}

// Report notes what became of an item. Once noted it stands.
func (s *Store) Report(ctx context.Context, j *Job, position int64, result, detail string) error {
	_, err := s.pool.Exec(ctx, `update desk_job_items set result = $4, detail = $5, done_at = clock_timestamp()
		where tenant = $1 and job_id = $2 and position = $3 and result = ''`,
		j.Tenant, [16]byte(j.JobID), position, result, audit.Text(detail, maxText))
	return store.Fault("note a job's item", err)
}
