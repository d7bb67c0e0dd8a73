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
	// JobUndo opens discarded letters again, within UndoLimit.
	JobUndo = "undo"

	JobRunning   = "running"
	JobPaused    = "paused"
	JobCancelled = "cancelled"
	JobDone      = "done"
)

// What became of one letter of a job; empty while it waits.
const (
	ItemRedriven  = "redriven"
	ItemDiscarded = "discarded"
	ItemReopened  = "reopened"
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
	// IncludeHeld also redrives what has died again and again.
	IncludeHeld bool
	// Canary is how many letters a redrive sends first, and waits for; CanaryDue until they were
	// judged, or somebody let the rest go.
	Canary    int
	CanaryDue bool
	// The job pauses itself once more than StopAbove percent of StopAfter or more known outcomes are
	// failures. JudgedFrom is the position behind which they count.
	StopAbove, StopAfter int
	JudgedFrom           int64
	// Stopped is why it paused itself; empty when it did not.
	Stopped string
	// Rate is the most letters a second.
	Rate          int
	Total         int64
	Actor, Reason string
	Created       time.Time
	// Finished is zero until it is done or cancelled.
	Finished time.Time
	// Results counts items by what became of them; "" counts those that wait. Outcomes counts those that
	// were sent by what that came to; "" counts those that are waited for. Only Job and Jobs fill them.
	Results, Outcomes map[string]int64
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
	// CommandID is what it was sent again as; uuid.Nil when it was not.
	CommandID uuid.UUID
	// Outcome of that command: OutcomeAnswered, OutcomeDeviceError, OutcomeUnknown, or a word of
	// schema/outcome; empty while it is waited for.
	Outcome   string
	OutcomeAt time.Time
}

// JobError says that a job is not in a state that allows a change.
type JobError struct{ State string }

func (e *JobError) Error() string { return "the job is " + e.State }

const jobColumns = `tenant, job_id, kind, state, filter, include_maybe, rate, total, actor, reason, created_at, finished_at,
	include_held, canary, canary_due, stop_above, stop_after, judged_from, stopped`

func (j *Job) scan(row pgx.Row) error {
	var filter []byte
	err := row.Scan(&j.Tenant, (*[16]byte)(&j.JobID), &j.Kind, &j.State, &filter, &j.IncludeMaybe, &j.Rate, &j.Total, &j.Actor,
		&j.Reason, &j.Created, (*zeronull.Timestamptz)(&j.Finished), &j.IncludeHeld, &j.Canary, &j.CanaryDue, &j.StopAbove, &j.StopAfter,
		&j.JudgedFrom, &j.Stopped)
	if err != nil {
		return err
	}
	j.Created, j.Finished = j.Created.UTC(), j.Finished.UTC()
	err = json.Unmarshal(filter, &j.Filter)
	j.Filter.Tenant = j.Tenant
	return err
}

// NewJob makes a job and chooses its letters: the open ones that its filter finds, oldest first; for an undo
// the discarded ones. JobID, State, Total and the times are set here. ErrTooMany when there are more than MaxJob.
func (s *Store) NewJob(ctx context.Context, j Job) (Job, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, fmt.Errorf("make a job's id: %w", err)
	}
	j.JobID, j.Filter.Tenant, j.Filter.State = id, j.Tenant, Open
	if j.Kind == JobUndo {
		j.Filter.State, j.Filter.Undoable = Discarded, true
	}
	filter, err := json.Marshal(j.Filter)
	if err != nil {
		return Job{}, fmt.Errorf("write a job's filter: %w", err)
	}
	act := j.Act()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into desk_jobs (tenant, job_id, kind, state, filter, include_maybe, rate, total, actor, reason,
			include_held, canary, canary_due, stop_above, stop_after) values ($1, $2, $3, 'running', $4, $5, $6, 0, $7, $8, $9, $10, $11, $12, $13)`,
			j.Tenant, [16]byte(id), j.Kind, filter, j.IncludeMaybe, j.Rate, act.actor(), act.why(), j.IncludeHeld, j.Canary, j.Canary > 0,
			j.StopAbove, j.StopAfter)
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
	j.Results, j.Outcomes = map[string]int64{"": j.Total}, map[string]int64{}
	return j, store.Fault("make a job", err)
}

func (j *Job) entry(action string, act Act, detail string) audit.Entry {
	return audit.Entry{
		Tenant: j.Tenant, Stage: audit.StageOperator, Action: action, Actor: act.Actor,
		Detail: "job " + j.JobID.String() + ": " + act.Reason + "; " + detail,
	}
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
	rows, err := s.pool.Query(ctx, `select position, letter_id, result, detail, done_at, command_id, outcome, outcome_at
		from desk_job_items where `+where, args...)
	if err != nil {
		return nil, store.Fault("read a job's items", err)
	}
	items, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i Item, err error) {
		err = row.Scan(&i.Position, (*[16]byte)(&i.LetterID), &i.Result, &i.Detail, (*zeronull.Timestamptz)(&i.Done),
			(*zeronull.UUID)(&i.CommandID), &i.Outcome, (*zeronull.Timestamptz)(&i.OutcomeAt))
		i.Done, i.OutcomeAt = i.Done.UTC(), i.OutcomeAt.UTC()
		return i, err
	})
	return items, store.Fault("read a job's items", err)
}

// Report notes what became of an item. Once noted it stands. sent is the command that it was sent again as, if
// it was, and wait how long its outcome is waited for.
func (s *Store) Report(ctx context.Context, j *Job, position int64, result, detail string, sent uuid.UUID, wait time.Duration) error {
	_, err := s.pool.Exec(ctx, `update desk_job_items set result = $4, detail = $5, done_at = clock_timestamp(), command_id = $6,
		due_at = case when $6::uuid is not null then clock_timestamp() + $7::interval end
		where tenant = $1 and job_id = $2 and position = $3 and result = ''`,
		j.Tenant, [16]byte(j.JobID), position, result, audit.Text(detail, maxText), zeronull.UUID(sent), wait)
	return store.Fault("note a job's item", err)
}
