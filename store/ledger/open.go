package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// Grace is how long after the method's timeout an open row's worker still counts as alive: DESIGN, section 5.
const Grace = 2 * time.Second

// LostAt is the moment, in database time, from which an open row's worker counts as lost.
func (r *Row) LostAt() time.Time { return r.Started.Add(r.Timeout + Grace) }

// Overdue chooses open rows of one tenant that were made in [From, Before) and whose worker counts as lost since
// Since ago. A zero From is no bound, but that of what Watch has not read yet only two days are looked at.
type Overdue struct {
	Tenant       string
	From, Before time.Time
	Since        time.Duration
}

// OpenCursor is a place in a list of open rows.
type OpenCursor struct {
	Created   time.Time
	CommandID uuid.UUID
}

// OpenRow is one with its place.
type OpenRow struct {
	Row
	At OpenCursor
}

// overdueSQL has what Watch has noted, and of what it has not read yet every row.
const overdueSQL = `with watched as materialized (select coalesce((select until from ledger_watch), '-infinity'::timestamptz) as until)
	select ` + columns + `, created_at from (
		(select l.* from commands_left_open c join ledger l on l.command_id = c.command_id and l.tenant = c.tenant
			where c.tenant = $1 and c.created_at >= greatest($2::timestamptz, $5) and c.created_at < $3 and (c.created_at, c.command_id) > ($5, $6)
			and l.outcome is null and l.started_at + l.timeout_ms * interval '1 millisecond' + $4::interval < clock_timestamp()
			order by c.created_at, c.command_id limit $7)
		union all
		(select * from ledger where created_at > (select until from watched)
			and created_at >= greatest(coalesce($2::timestamptz, now() - interval '2 days'), $5) and created_at < $3
			and tenant is not distinct from $1 and outcome is null and (created_at, command_id) > ($5, $6)
			and started_at + timeout_ms * interval '1 millisecond' + $4::interval < clock_timestamp()
			order by created_at, command_id limit $7)) as overdue
	order by created_at, command_id limit $7`

// Overdue returns up to limit such rows, oldest first, from behind after on (the zero value: from the first).
func (r *Reader) Overdue(ctx context.Context, o Overdue, after OpenCursor, limit int) ([]OpenRow, error) {
	rows, err := r.pool.Query(ctx, overdueSQL, o.Tenant, zeronull.Timestamptz(o.From), o.Before, o.Since+Grace, after.Created, [16]byte(after.CommandID), limit)
	if err != nil {
		return nil, store.Fault("look for open commands", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one OpenRow, err error) {
		one.Row, err = scan(withMore{row, []any{&one.At.Created}})
		one.At.Created, one.At.CommandID = one.At.Created.UTC(), one.CommandID
		return one, err
	})
	return found, store.Fault("look for open commands", err)
}

// withMore scans further columns behind the row's.
type withMore struct {
	pgx.Row
	more []any
}

func (w withMore) Scan(into ...any) error { return w.Row.Scan(append(into, w.more...)...) }

// Settlements keeps who gives open rows to the recorder. It is safe for concurrent use.
type Settlements struct{ pool *postgres.Pool }

// NewSettlements makes them on the pool.
func NewSettlements(pool *postgres.Pool) *Settlements { return &Settlements{pool: pool} }

// SettlementLease is how long a row belongs to whoever claimed its settlement.
const SettlementLease = 30 * time.Second

// ErrClaimed says that somebody settles the row in this moment.
var ErrClaimed = errors.New("somebody settles it in this moment")

// Claim notes who settles an open row, and why, in the audit trail as well. Of several at once one may; the others get ErrClaimed.
func (s *Settlements) Claim(ctx context.Context, r *Row, actor, reason string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into desk_settlements as d (tenant, command_id, actor, reason) values ($1, $2, $3, $4)
			on conflict (tenant, command_id) do update set at = clock_timestamp(), actor = $3, reason = $4
			where d.at < clock_timestamp() - $5::interval`, r.Tenant, [16]byte(r.CommandID), audit.Text(actor, maxActor),
			audit.Text(reason, audit.MaxDetail), SettlementLease)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrClaimed
		}
		var trail pgx.Batch
		audit.Queue(&trail, audit.Entry{
			Tenant: r.Tenant, Stage: audit.StageOperator, Action: "settle", Actor: actor, Client: r.Client, ID: r.ID,
			CommandID: r.CommandID, Device: r.Device, DeviceType: r.DeviceType, Method: r.Method, Lane: r.Lane, Detail: reason,
		})
		return tx.SendBatch(ctx, &trail).Close()
	})
	return store.Fault("claim a settlement", err)
}

const maxActor = 512 // bytes
