// Package erasure keeps requests to erase one client's payloads, or a whole tenant's.
package erasure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// States of an erasure.
const (
	// Running erasures go through what there is.
	Running = "running"
	// Waiting ones wait for what was under way when they were asked for, to end and to be forgotten by the queues.
	Waiting = "waiting"
	Done    = "done"
)

var (
	// ErrNotFound says that there is no such erasure.
	ErrNotFound = errors.New("no such erasure")
	// ErrBusy says that the same is being erased already.
	ErrBusy = errors.New("an erasure of the same is under way")
)

// Erasure of one client's payloads, or of a tenant's.
type Erasure struct {
	ErasureID uuid.UUID
	Tenant    string
	// Client is empty for the whole tenant.
	Client        string
	State         string
	Actor, Reason string
	Created       time.Time
	// Due is when the second round begins; zero before the first has ended.
	Due time.Time
	// Finished is zero until it is done.
	Finished time.Time
	// Letters were emptied, Outcomes deleted from mailboxes, Commands deleted from the ledger.
	Letters, Outcomes, Commands int64
}

// whose it is, for people.
func (e *Erasure) whose() string {
	if e.Client == "" {
		return "the whole tenant"
	}
	return "client " + e.Client
}

// Store keeps erasures. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

const columns = `tenant, erasure_id, client, state, actor, reason, created_at, due_at, finished_at, letters, outcomes, commands`

func scan(row pgx.CollectableRow) (e Erasure, err error) {
	err = row.Scan(&e.Tenant, (*[16]byte)(&e.ErasureID), &e.Client, &e.State, &e.Actor, &e.Reason, &e.Created,
		(*zeronull.Timestamptz)(&e.Due), (*zeronull.Timestamptz)(&e.Finished), &e.Letters, &e.Outcomes, &e.Commands)
	e.Created, e.Due, e.Finished = e.Created.UTC(), e.Due.UTC(), e.Finished.UTC()
	return e, err
}

func (s *Store) read(ctx context.Context, where string, args ...any) ([]Erasure, error) {
	rows, err := s.pool.Query(ctx, `select `+columns+` from erasures where `+where, args...)
	if err != nil {
		return nil, store.Fault("read erasures", err)
	}
	found, err := pgx.CollectRows(rows, scan)
	return found, store.Fault("read erasures", err)
}

// Request asks for an erasure: of a client, or with an empty client of a whole tenant, whose keys are revoked in the same moment. ErrBusy
// while the same is under way.
func (s *Store) Request(ctx context.Context, tenant, client, actor, reason string) (e Erasure, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Erasure{}, fmt.Errorf("make an erasure's id: %w", err)
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `insert into erasures (tenant, erasure_id, client, state, actor, reason)
			select $1, $2, $3, 'running', $4, $5
			where not exists (select from erasures where tenant = $1 and client = $3 and state <> 'done') returning `+columns,
			tenant, [16]byte(id), client, audit.Text(actor, audit.MaxDetail), audit.Text(reason, audit.MaxDetail))
		if err != nil {
			return err
		}
		e, err = pgx.CollectExactlyOneRow(rows, scan)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrBusy
		}
		if err != nil {
			return err
		}
		var batch pgx.Batch
		if client == "" {
			batch.Queue(`update api_keys set revoked_at = now() where tenant = $1 and revoked_at is null`, tenant)
		}
		audit.Queue(&batch, e.entry("erasure_requested", reason))
		return tx.SendBatch(ctx, &batch).Close()
	})
	return e, store.Fault("ask for an erasure", err)
}

func (e *Erasure) entry(action, detail string) audit.Entry {
	return audit.Entry{
		Tenant: e.Tenant, Stage: audit.StageOperator, Action: action, Actor: e.Actor, Client: e.Client,
		Detail: "erasure " + e.ErasureID.String() + " of " + e.whose() + ": " + detail,
	}
}

// Get returns one of a tenant, or ErrNotFound.
func (s *Store) Get(ctx context.Context, tenant string, id uuid.UUID) (Erasure, error) {
	found, err := s.read(ctx, `tenant = $1 and erasure_id = $2`, tenant, [16]byte(id))
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Erasure{}, err
	}
	return found[0], nil
}

// List returns up to limit erasures of a tenant, the newest first.
func (s *Store) List(ctx context.Context, tenant string, limit int) ([]Erasure, error) {
	return s.read(ctx, `tenant = $1 order by created_at desc limit $2`, tenant, limit)
}

// Open returns up to limit erasures of all tenants that there is something to do for now, the oldest first.
func (s *Store) Open(ctx context.Context, limit int) ([]Erasure, error) {
	return s.read(ctx, `state = 'running' or state = 'waiting' and due_at < clock_timestamp() order by created_at limit $1`, limit)
}

// Advance adds to an erasure's counts.
func (s *Store) Advance(ctx context.Context, e *Erasure, letters, outcomes, commands int64) error {
	_, err := s.pool.Exec(ctx, `update erasures set letters = letters + $3, outcomes = outcomes + $4, commands = commands + $5
		where tenant = $1 and erasure_id = $2`, e.Tenant, [16]byte(e.ErasureID), letters, outcomes, commands)
	e.Letters, e.Outcomes, e.Commands = e.Letters+letters, e.Outcomes+outcomes, e.Commands+commands
	return store.Fault("note an erasure's progress", err)
}

// Wait says that the first round is over, and the second due.
func (s *Store) Wait(ctx context.Context, e *Erasure, due time.Time) error {
	_, err := s.pool.Exec(ctx, `update erasures set state = 'waiting', due_at = $3 where tenant = $1 and erasure_id = $2 and state = 'running'`,
		e.Tenant, [16]byte(e.ErasureID), due)
	return store.Fault("note an erasure's progress", err)
}

// Finish says that all is erased.
func (s *Store) Finish(ctx context.Context, e *Erasure) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch
		batch.Queue(`update erasures set state = 'done', finished_at = clock_timestamp() where tenant = $1 and erasure_id = $2`, e.Tenant, [16]byte(e.ErasureID))
		audit.Queue(&batch, e.entry("erasure_done", fmt.Sprintf("%d letters emptied, %d outcomes and %d commands deleted", e.Letters, e.Outcomes, e.Commands)))
		return tx.SendBatch(ctx, &batch).Close()
	})
	return store.Fault("finish an erasure", err)
}

// Forget deletes up to limit erasures of a tenant that were finished before that time: the audit trail has them, too. It returns how many.
func (s *Store) Forget(ctx context.Context, tenant string, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `delete from erasures where ctid = any(array(select ctid from erasures
		where tenant = $1 and finished_at < $2 limit $3))`, tenant, before, limit)
	return tag.RowsAffected(), store.Fault("forget erasures", err)
}
