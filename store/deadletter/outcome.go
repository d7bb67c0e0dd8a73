package deadletter

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
)

// What the command that an item was sent again as came to, beside the words of schema/outcome.
const (
	OutcomeAnswered    = "answered"
	OutcomeDeviceError = "device_error"
	// OutcomeUnknown: nothing is known after it should have ended, as on a lane without a ledger.
	OutcomeUnknown = "unknown"
)

// Ended is a command that an item was sent again as, and that has ended, or is waited for no longer.
type Ended struct {
	Tenant   string
	JobID    uuid.UUID
	Position int64
	// Response is what the ledger has; nil when it knows nothing.
	Response []byte
	// Reason is why there is no device's answer; empty when there is one, or nothing is known.
	Reason string
	At     time.Time
}

// Outcomes notes what commands of all jobs came to since it was last asked, up to limit of them, in the
// words of name, and returns how many. Any number of processes may ask.
func (s *Store) Outcomes(ctx context.Context, limit int, name func(*Ended) string) (int, error) {
	ctx = store.ForEveryTenant(ctx)
	// Laterals, so that each is looked up by its index, whatever the planner thinks of new tables.
	rows, err := s.pool.Query(ctx, `select i.tenant, i.job_id, i.position, l.outcome, coalesce(l.reason, d.reason, ''), coalesce(l.decided_at, d.died_at)
		from desk_job_items i
		left join lateral (select outcome, reason, decided_at from ledger l where l.command_id = i.command_id
			and l.tenant is not distinct from i.tenant and l.outcome is not null limit 1) l on true
		left join lateral (select reason, died_at from dead_letters d where d.tenant = i.tenant
			and d.identity = uuid_send(i.command_id) limit 1) d on true
		where i.command_id is not null and i.outcome = ''
			and (l.outcome is not null or d.reason is not null or i.due_at < clock_timestamp())
		order by i.due_at limit $1`, limit)
	if err != nil {
		return 0, store.Fault("look for outcomes", err)
	}
	ended, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Ended, err error) {
		err = row.Scan(&e.Tenant, (*[16]byte)(&e.JobID), &e.Position, &e.Response, &e.Reason, (*zeronull.Timestamptz)(&e.At))
		return e, err
	})
	if err != nil {
		return 0, store.Fault("look for outcomes", err)
	}
	var batch pgx.Batch
	for i := range ended {
		e := &ended[i]
		batch.Queue(`update desk_job_items set outcome = $4, outcome_at = coalesce($5, clock_timestamp())
			where tenant = $1 and job_id = $2 and position = $3 and outcome = ''`,
			e.Tenant, [16]byte(e.JobID), e.Position, name(e), zeronull.Timestamptz(e.At))
	}
	return len(ended), store.Fault("note outcomes", s.pool.SendBatch(ctx, &batch).Close())
}

// Tally counts the outcomes of a job's commands behind Job.JudgedFrom.
type Tally struct {
	// Sent commands are Awaited, or Known, or nobody knows. Failed are those Known that no device answered with a result.
	Sent, Awaited, Known, Failed int64
	// Last is the position of the last item that was worked on.
	Last int64
}

// Tally counts.
func (s *Store) Tally(ctx context.Context, j *Job) (t Tally, err error) {
	err = s.pool.QueryRow(ctx, `select count(*) filter (where command_id is not null),
		count(*) filter (where command_id is not null and outcome = ''),
		count(*) filter (where outcome not in ('', 'unknown')),
		count(*) filter (where outcome not in ('', 'unknown', 'answered')), coalesce(max(position), $3)
		from desk_job_items where tenant = $1 and job_id = $2 and position > $3 and result <> ''`,
		j.Tenant, [16]byte(j.JobID), j.JudgedFrom).Scan(&t.Sent, &t.Awaited, &t.Known, &t.Failed, &t.Last)
	return t, store.Fault("count a job's outcomes", err)
}
