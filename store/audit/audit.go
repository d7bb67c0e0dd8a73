// Package audit is the append-only trail of every failure and every operator's action.
package audit

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/postgres"
)

// Stages at which an entry is written.
const (
	StageIntake   = "intake"
	StageDispatch = "dispatch"
	StageRecord   = "record"
	StageMailbox  = "mailbox"
	StagePush     = "push"
	StageOperator = "operator"
)

// Entry is one line of the trail. Text is kept readable rather than exact: what is no UTF-8,
// and NUL, is replaced, so that no entry is ever refused. Empty fields say nothing.
type Entry struct {
	Tenant string
	// At in database time; zero means when it is written.
	At time.Time
	// Stage is where it happened, Action what happened ("dead_letter", "late_answer", "redrive").
	Stage  string
	Action string
	// Actor is who did it: an operator's or key's name; empty for the platform itself.
	Actor string
	// Reason is an outcome.Reason or another closed word.
	Reason string
	Client string
	// ID holds the bytes of jsonrpc.ID.Key, kept as they are.
	ID        []byte
	CommandID uuid.UUID
	Device    string
	Method    string
	Lane      string
	// Detail for people, at most MaxDetail bytes are kept.
	Detail string

	// Seq orders entries of one tenant and time; set by List.
	Seq int64
}

// MaxDetail is the most bytes of Entry.Detail that are kept.
const MaxDetail = 4096

// Trail writes and reads the audit trail. It is safe for concurrent use.
type Trail struct{ pool *postgres.Pool }

// New makes a trail on the pool.
func New(pool *postgres.Pool) *Trail { return &Trail{pool: pool} }

var errSoon = errors.New("not there yet")

// Append writes entries in one transaction.
func (t *Trail) Append(ctx context.Context, entries ...Entry) error { return errSoon }

// Queue adds the writing of entries to a batch, so that they go in with what they tell of.
func Queue(batch *pgx.Batch, entries ...Entry) {}

// List returns up to limit entries of a tenant from that time on, oldest first.
func (t *Trail) List(ctx context.Context, tenant string, from time.Time, limit int) ([]Entry, error) {
	return nil, errSoon
}
