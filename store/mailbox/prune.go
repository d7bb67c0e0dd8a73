package mailbox

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

const (
	pruneSQL = `delete from mailbox where ctid = any(array(
		select ctid from mailbox where acked_at < $1 order by acked_at limit $2 for update skip locked))`

	overdueSQL = `select distinct tenant, client from (
		select tenant, client from mailbox where acked_at is null and stored_at < $1 order by stored_at limit $2) as oldest`

	expireSQL = `with gone as (
			delete from mailbox where tenant = $1 and client = $2 and acked_at is null and seq in (
				select seq from mailbox where tenant = $1 and client = $2 and acked_at is null and stored_at < $3
				order by seq limit $4)
			returning command_id, raw_id, device, method, lane, reason, size),
		change as (select -count(*) as waiting, -coalesce(sum(size), 0)::bigint as bytes from gone),
		counted as (update mailbox_clients c set waiting = c.waiting + change.waiting, bytes = c.bytes + change.bytes,
			"full" = "full" and (c.waiting + change.waiting > $5::bigint * 9 / 10 or c.bytes + change.bytes > $6::bigint * 9 / 10)
			from change where c.tenant = $1 and c.client = $2)
		select command_id, raw_id, device, method, lane, reason from gone`
)

// Prune deletes up to limit rows acked before ackedBefore, and up to limit rows of each client stored before
// storedBefore that nobody fetched and acked; the latter leave the counts, and the audit trail tells of
// each. It returns how many of each kind there were.
func (s *Store) Prune(ctx context.Context, ackedBefore, storedBefore time.Time, limit int) (acked, expired int64, err error) {
	tag, err := s.pool.Exec(ctx, pruneSQL, ackedBefore, limit)
	if err != nil {
		return 0, 0, store.Fault("prune acked outcomes", err)
	}
	acked = tag.RowsAffected()
	rows, err := s.pool.Query(ctx, overdueSQL, storedBefore, limit)
	if err != nil {
		return acked, 0, store.Fault("find overdue outcomes", err)
	}
	boxes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b box, err error) {
		err = row.Scan(&b.tenant, &b.client)
		return b, err
	})
	if err != nil {
		return acked, 0, store.Fault("find overdue outcomes", err)
	}
	for _, b := range boxes {
		n, err := s.expire(ctx, b, storedBefore, limit)
		expired += n
		if err != nil {
			return acked, expired, store.Fault("end the retention of outcomes", err)
		}
	}
	return acked, expired, nil
}

// expire ends the retention of one client's oldest outcomes in one transaction.
func (s *Store) expire(ctx context.Context, b box, storedBefore time.Time, limit int) (expired int64, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockSQL, b.tenant, b.client); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, expireSQL, b.tenant, b.client, storedBefore, limit, s.limits.Outcomes, s.limits.Bytes)
		if err != nil {
			return err
		}
		entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.Entry, error) {
			e := audit.Entry{Tenant: b.tenant, Client: b.client, Stage: audit.StageMailbox, Action: "retention_ended"}
			var id uuid.UUID
			err := row.Scan((*[16]byte)(&id), &e.ID, &e.Device, &e.Method, &e.Lane, &e.Reason)
			e.CommandID = id
			return e, err
		})
		if err != nil {
			return err
		}
		var trail pgx.Batch
		audit.Queue(&trail, entries...)
		expired = int64(len(entries))
		return tx.SendBatch(ctx, &trail).Close()
	})
	if err != nil {
		return 0, err
	}
	return expired, nil
}
