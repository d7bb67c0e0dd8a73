// Package drain keeps the drains of lanes: backlogs on their way to the recorder, by an operator's order.
package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// States of a drain.
const (
	Running   = "running"
	Cancelled = "cancelled"
	Done      = "done"
)

// Lease is how long a running drain belongs to the process that works on it.
const Lease = 30 * time.Second

var (
	// ErrNotFound says that there is no such drain, or no such lane.
	ErrNotFound = errors.New("no such drain")
	// ErrRunning says that the lane is being drained already.
	ErrRunning = errors.New("the lane is being drained already")
)

// StateError says that a drain has ended before.
type StateError struct{ State string }

func (e *StateError) Error() string { return "the drain is " + e.State }

// Drain takes a lane's backlog, what was accepted before Created, to the recorder.
type Drain struct {
	DrainID uuid.UUID
	Lane    string
	State   string
	// Rate is the most commands a second.
	Rate int
	// Total waited when it began; negative while that is not known. Done have gone to the recorder.
	Total, Done   int64
	Actor, Reason string
	Created       time.Time
	// Finished is zero while it runs.
	Finished time.Time
}

// Store keeps drains. They belong to the platform: their audit trail is topology.SystemTenant's. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

const columns = `drain_id, lane, state, rate, coalesce(total, -1), done, actor, reason, created_at, finished_at`

func (d *Drain) scan(row pgx.Row) error {
	err := row.Scan((*[16]byte)(&d.DrainID), &d.Lane, &d.State, &d.Rate, &d.Total, &d.Done, &d.Actor, &d.Reason, &d.Created,
		(*zeronull.Timestamptz)(&d.Finished))
	d.Created, d.Finished = d.Created.UTC(), d.Finished.UTC()
	return err
}

const maxActor = 512 // bytes

// Start begins a drain; Lane, Rate, Total, Actor and Reason are the caller's. ErrNotFound without such a lane, ErrRunning.
// From its commit on the lane's dispatchers take nothing.
func (s *Store) Start(ctx context.Context, d Drain) (Drain, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Drain{}, fmt.Errorf("make a drain's id: %w", err)
	}
	var total *int64
	if d.Total >= 0 {
		total = &d.Total
	}
	err = s.change(ctx, func(tx pgx.Tx) (audit.Entry, error) {
		err := d.scan(tx.QueryRow(ctx, `insert into lane_drains (drain_id, lane, state, rate, total, actor, reason)
			values ($1, $2, 'running', $3, $4, $5, $6) returning `+columns, [16]byte(id), d.Lane, d.Rate, total,
			audit.Text(d.Actor, maxActor), audit.Text(d.Reason, audit.MaxDetail)))
		return d.entry("drain_started", d.Actor, fmt.Sprintf("%s; %d wait", d.Reason, d.Total)), err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.ConstraintName {
		case "lane_drains_running":
			return Drain{}, ErrRunning
		case "lane_drains_lane_fkey":
			return Drain{}, ErrNotFound
		}
	}
	return d, store.Fault("start a drain", err)
}

func (d *Drain) entry(action, actor, detail string) audit.Entry {
	return audit.Entry{
		Tenant: topology.SystemTenant, Stage: audit.StageOperator, Action: action, Actor: actor, Lane: d.Lane,
		Detail: "drain " + d.DrainID.String() + ": " + detail,
	}
}

func (s *Store) change(ctx context.Context, do func(tx pgx.Tx) (audit.Entry, error)) error {
	return pgx.BeginFunc(store.ForTenant(ctx, topology.SystemTenant), s.pool, func(tx pgx.Tx) error {
		e, err := do(tx)
		if err != nil {
			return err
		}
		var trail pgx.Batch
		audit.Queue(&trail, e)
		return tx.SendBatch(ctx, &trail).Close()
	})
}

// Get returns one, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (d Drain, err error) {
	err = d.scan(s.pool.QueryRow(ctx, `select `+columns+` from lane_drains where drain_id = $1`, [16]byte(id)))
	if errors.Is(err, pgx.ErrNoRows) {
		return Drain{}, ErrNotFound
	}
	return d, store.Fault("read a drain", err)
}

// List returns up to limit drains, newest first, from behind after on (uuid.Nil: from the newest).
func (s *Store) List(ctx context.Context, after uuid.UUID, limit int) ([]Drain, error) {
	rows, err := s.pool.Query(ctx, `select `+columns+` from lane_drains where $1::uuid is null or drain_id < $1 order by drain_id desc limit $2`,
		zeronull.UUID(after), limit)
	if err != nil {
		return nil, store.Fault("list drains", err)
	}
	drains, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Drain, err error) {
		err = d.scan(row)
		return d, err
	})
	return drains, store.Fault("list drains", err)
}

// End ends a running drain and notes who did it: ErrNotFound, or a *StateError when it has ended before.
func (s *Store) End(ctx context.Context, id uuid.UUID, state, actor, why string) (d Drain, err error) {
	err = s.change(ctx, func(tx pgx.Tx) (audit.Entry, error) {
		err := d.scan(tx.QueryRow(ctx, `update lane_drains set state = $2, finished_at = clock_timestamp()
			where drain_id = $1 and state = 'running' returning `+columns, [16]byte(id), state))
		return d.entry("drain_"+state, actor, fmt.Sprintf("%s; %d went to the recorder", why, d.Done)), err
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return d, store.Fault("end a drain", err)
	}
	there, err := s.Get(ctx, id)
	if err != nil {
		return Drain{}, err
	}
	return Drain{}, &StateError{State: there.State}
}

// Lease gives a process one running drain that nobody works on; found is false when there is none.
func (s *Store) Lease(ctx context.Context, owner uuid.UUID) (d Drain, found bool, err error) {
	err = d.scan(s.pool.QueryRow(ctx, `update lane_drains set lease_owner = $1, leased_until = clock_timestamp() + $2::interval
		where ctid = any(array(select ctid from lane_drains where state = 'running'
			and (leased_until is null or leased_until < clock_timestamp()) order by leased_until nulls first limit 1 for update skip locked))
		returning `+columns, [16]byte(owner), Lease))
	if errors.Is(err, pgx.ErrNoRows) {
		return Drain{}, false, nil
	}
	return d, err == nil, store.Fault("lease a drain", err)
}

// Renew keeps the lease and adds what has gone to the recorder since. It is false once the drain no longer runs, or
// another process has it: then nothing more may be taken.
func (s *Store) Renew(ctx context.Context, d *Drain, owner uuid.UUID, gone int64) (bool, error) {
	tag, err := s.pool.Exec(ctx, `update lane_drains set done = done + $3, leased_until = clock_timestamp() + $4::interval
		where drain_id = $1 and lease_owner = $2 and state = 'running'`, [16]byte(d.DrainID), [16]byte(owner), gone, Lease)
	return tag.RowsAffected() == 1, store.Fault("renew a drain's lease", err)
}

// Release gives the lease back.
func (s *Store) Release(ctx context.Context, d *Drain, owner uuid.UUID, gone int64) error {
	_, err := s.pool.Exec(ctx, `update lane_drains set done = done + $3, leased_until = null where drain_id = $1 and lease_owner = $2`,
		[16]byte(d.DrainID), [16]byte(owner), gone)
	return store.Fault("release a drain", err)
}

// Forget deletes up to limit drains that ended before that time, and returns how many.
func (s *Store) Forget(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `delete from lane_drains where ctid = any(array(select ctid from lane_drains
		where finished_at < $1 order by finished_at limit $2))`, before, limit)
	return tag.RowsAffected(), store.Fault("forget drains", err)
}
