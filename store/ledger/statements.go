package ledger

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
)

const columns = `tenant, client, id, redrive, command_id, token, digest, raw_id, device, device_type, method, lane,
	timeout_ms, idempotent, one_way, accepted_at, deadline_at, started_at, outcome, origin, reason, decided_at, delivered_at`

const byKey = ` where tenant = $1 and client = $2 and id = $3 and redrive = $4`

const (
	selectSQL = `select ` + columns + ` from ledger` + byKey

	claimSQL = `insert into ledger (tenant, client, id, redrive, command_id, token, digest, raw_id, device, device_type,
		method, lane, timeout_ms, idempotent, one_way, accepted_at, deadline_at, started_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, clock_timestamp())
		on conflict (tenant, client, id, redrive) do nothing returning started_at`

	reclaimSQL = `update ledger set token = $7, started_at = clock_timestamp()` + byKey + `
		and command_id = $5 and token in ($6, $7) and outcome is null returning ` + columns

	decideSQL = `update ledger set outcome = $6, origin = $7, reason = $8, decided_at = clock_timestamp(),
		delivered_at = case when $9 then clock_timestamp() end` + byKey + `
		and command_id = $5 and outcome is null returning ` + columns

	// Only decided rows, while claims and decisions lock only open ones: so batches of the two,
	// each in an order of its own, cannot deadlock. The guards are written so that no index serves
	// them: planned while the table is nearly empty, tenant and client would look as selective
	// as the command id.
	deliveredSQL = `update ledger set delivered_at = clock_timestamp()
		where command_id = $1 and tenant is not distinct from $2 and client is not distinct from $3
		and outcome is not null and delivered_at is null`

	// All of a batch at once, each found as by deliveredSQL: a subquery with an offset is never turned into a join with the
	// whole table, which would do while that is nearly empty, and is locked in the order of the marks.
	allDeliveredSQL = `update ledger set delivered_at = clock_timestamp() where ctid = any(array(
		select l.ctid from unnest($1::uuid[], $2::text[], $3::text[]) as m(command_id, tenant, client) cross join lateral (
			select ctid from ledger where command_id = m.command_id and tenant is not distinct from m.tenant
				and client is not distinct from m.client and outcome is not null and delivered_at is null
			offset 0 for update) as l))`

	settledSQL = `insert into ledger (tenant, client, id, redrive, command_id, digest, raw_id, device, device_type,
		method, lane, timeout_ms, idempotent, one_way, accepted_at, deadline_at, outcome, origin, reason, decided_at, delivered_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, clock_timestamp(),
		case when $20 then clock_timestamp() end)
		on conflict (tenant, client, id, redrive) do nothing returning ` + columns
)

func (c *Claim) queue(b *pgx.Batch) {
	b.Queue(claimSQL, c.Tenant, c.Client, c.ID, c.Redrive, [16]byte(c.CommandID), [16]byte(c.Token), c.Digest[:], c.RawID,
		c.Device, c.DeviceType, c.Method, c.Lane, c.Timeout.Milliseconds(), c.Idempotent, c.OneWay, c.Accepted, c.Deadline)
}

func (d *Decision) queue(b *pgx.Batch) *pgx.QueuedQuery {
	return b.Queue(decideSQL, d.Tenant, d.Client, d.ID, d.Redrive, [16]byte(d.CommandID), d.Outcome, d.Origin, d.Reason, d.Delivered)
}

func (m *DeliveredMark) queue(b *pgx.Batch) {
	b.Queue(deliveredSQL, [16]byte(m.CommandID), m.Tenant, m.Client)
}

func (k *Key) queueSelect(b *pgx.Batch) { b.Queue(selectSQL, k.Tenant, k.Client, k.ID, k.Redrive) }

// QueueDelivered adds delivered marks to another transaction's batch, as one statement. They stand in the order of their command ids.
func QueueDelivered(b *pgx.Batch, marks []DeliveredMark) {
	ids, tenants, clients := make([][16]byte, len(marks)), make([]string, len(marks)), make([]string, len(marks))
	for i, m := range marks {
		ids[i], tenants[i], clients[i] = m.CommandID, m.Tenant, m.Client
	}
	b.Queue(allDeliveredSQL, ids, tenants, clients)
}

// QueueLock reads the row of that key inside of a transaction and locks it. then is called
// with it, or nil when there is none.
func QueueLock(b *pgx.Batch, key Key, then func(*Row)) {
	b.Queue(selectSQL+` for update`, key.Tenant, key.Client, key.ID, key.Redrive).QueryRow(optional(then))
}

// QueueDecision adds a decision about a locked row to a transaction's batch. then is called with
// the row as it stands, or nil when the row was not open under that command id.
func QueueDecision(b *pgx.Batch, d Decision, then func(*Row)) {
	d.queue(b).QueryRow(optional(then))
}

// QueueSettled adds a row to a transaction's batch that was never started and is decided at once.
// then is called with it, or nil when there is a row of that key by now.
func QueueSettled(b *pgx.Batch, c Claim, d Decision, then func(*Row)) {
	b.Queue(settledSQL, d.Tenant, d.Client, d.ID, d.Redrive, [16]byte(d.CommandID), c.Digest[:], c.RawID,
		c.Device, c.DeviceType, c.Method, c.Lane, c.Timeout.Milliseconds(), c.Idempotent, c.OneWay, c.Accepted, c.Deadline,
		d.Outcome, d.Origin, d.Reason, d.Delivered).QueryRow(optional(then))
}

func optional(then func(*Row)) func(pgx.Row) error {
	return func(r pgx.Row) error {
		row, err := scan(r)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			then(nil)
			return nil
		case err != nil:
			return err
		}
		then(&row)
		return nil
	}
}

// scan reads columns.
func scan(from pgx.Row) (Row, error) {
	var r Row
	var digest []byte
	var timeout int64
	err := from.Scan(&r.Tenant, &r.Client, &r.ID, &r.Redrive, (*[16]byte)(&r.CommandID), (*zeronull.UUID)(&r.Token), &digest,
		&r.RawID, &r.Device, &r.DeviceType, &r.Method, &r.Lane, &timeout, &r.Idempotent, &r.OneWay, &r.Accepted, &r.Deadline,
		(*zeronull.Timestamptz)(&r.Started), &r.Outcome, &r.Origin, &r.Reason,
		(*zeronull.Timestamptz)(&r.Decided), (*zeronull.Timestamptz)(&r.Delivered))
	if err != nil {
		return Row{}, err
	}
	copy(r.Digest[:], digest)
	r.Timeout = time.Duration(timeout) * time.Millisecond
	for _, t := range []*time.Time{&r.Accepted, &r.Deadline, &r.Started, &r.Decided, &r.Delivered} {
		*t = t.UTC()
	}
	return r, nil
}
