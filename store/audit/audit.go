// Package audit is the append-only trail of every failure and every operator's action.
package audit

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
)

// Stages at which an entry is written.
const (
	StageIntake   = "intake"
	StageDispatch = "dispatch"
	StageRecord   = "record"
	StageMailbox  = "mailbox"
	StagePush     = "push"
	StageOperator = "operator"
	StageDevice   = "device"
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
	// ID holds the bytes of jsonrpc.ID.Key, or of the id as the client wrote it; they are kept as they are.
	ID        []byte
	CommandID uuid.UUID
	Device    string
	// DeviceType of Device, where it is known.
	DeviceType string
	Method     string
	Lane       string
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

const insertSQL = `insert into audit_trail
	(tenant, at, stage, action, actor, reason, client, id, command_id, device, method, lane, detail, device_type)
	values ($1, coalesce($2, clock_timestamp()), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`

// Append writes entries in one transaction.
func (t *Trail) Append(ctx context.Context, entries ...Entry) error {
	var batch pgx.Batch
	Queue(&batch, entries...)
	return store.Fault("append to the audit trail", t.pool.SendBatch(ctx, &batch).Close())
}

// Queue adds the writing of entries to a batch, so that they go in with what they tell of.
func Queue(batch *pgx.Batch, entries ...Entry) {
	for _, e := range entries {
		batch.Queue(insertSQL, Text(e.Tenant, MaxDetail), zeronull.Timestamptz(e.At), Text(e.Stage, MaxDetail),
			Text(e.Action, MaxDetail), Text(e.Actor, MaxDetail), Text(e.Reason, MaxDetail), Text(e.Client, MaxDetail), e.ID,
			zeronull.UUID(e.CommandID), Text(e.Device, MaxDetail), Text(e.Method, MaxDetail), Text(e.Lane, MaxDetail),
			Text(e.Detail, MaxDetail), Text(e.DeviceType, MaxDetail))
	}
}

// Text makes any string one that Postgres takes, of at most limit bytes: what is no UTF-8, and
// NUL, becomes U+FFFD.
func Text(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// List returns up to limit entries of a tenant from that time on, oldest first.
func (t *Trail) List(ctx context.Context, tenant string, from time.Time, limit int) ([]Entry, error) {
	rows, err := t.pool.Query(ctx, `select tenant, at, seq, stage, action, actor, reason, client, id, command_id,
		device, device_type, method, lane, detail from audit_trail where tenant = $1 and at >= $2 order by at, seq limit $3`, tenant, from, limit)
	if err != nil {
		return nil, store.Fault("read the audit trail", err)
	}
	entries, err := pgx.CollectRows(rows, scan)
	return entries, store.Fault("read the audit trail", err)
}
