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

	overdueSQL = `select distinct client from (
		select client from mailbox where tenant = $1 and acked_at is null and stored_at < $2 order by stored_at limit $3) as oldest`

	// What the client never gets is counted as missed. A full mailbox has room again.
	expireSQL = `with gone as (
			delete from mailbox where tenant = $1 and client = $2 and acked_at is null and seq in (
				select seq from mailbox where tenant = $1 and client = $2 and acked_at is null and stored_at < $3
				order by seq limit $4)
			returning command_id, raw_id, device, method, lane, reason, size),
		change as (select -count(*) as waiting, -coalesce(sum(size), 0)::bigint as bytes from gone),
		counted as (update mailbox_clients c set waiting = c.waiting + change.waiting, bytes = c.bytes + change.bytes,
			missed = c.missed - change.waiting, "full" = "full" and change.waiting = 0
			from change where c.tenant = $1 and c.client = $2)
		select command_id, raw_id, device, method, lane, reason from gone`
)

// ForgetAcked deletes up to limit rows of all tenants that were acked, or refused for the quota, before that time, and returns how
// many: a copy of such an outcome that comes later is no longer known.
func (s *Store) ForgetAcked(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, pruneSQL, before, limit)
	return tag.RowsAffected(), store.Fault("forget acked outcomes", err)
}

// Expire deletes outcomes of a tenant that were stored before that time and that nobody fetched and acked: up to limit of each
// of the clients that the oldest limit of them are of. They leave the counts of what waits, are counted as missed, and the audit
// trail tells of each. It returns how many there were.
func (s *Store) Expire(ctx context.Context, tenant string, before time.Time, limit int) (expired int64, err error) {
	rows, err := s.pool.Query(ctx, overdueSQL, tenant, before, limit)
	if err != nil {
		return 0, store.Fault("find overdue outcomes", err)
	}
	clients, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, store.Fault("find overdue outcomes", err)
	}
	for _, client := range clients {
		n, err := s.expire(ctx, box{tenant, client}, before, limit, "retention_ended")
		expired += n
		if err != nil {
			return expired, store.Fault("end the retention of outcomes", err)
		}
	}
	return expired, nil
}

// expire deletes one client's oldest outcomes in one transaction.
func (s *Store) expire(ctx context.Context, b box, storedBefore time.Time, limit int, action string) (expired int64, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockSQL, b.tenant, b.client); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, expireSQL, b.tenant, b.client, storedBefore, limit)
		if err != nil {
			return err
		}
		entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.Entry, error) {
			e := audit.Entry{Tenant: b.tenant, Client: b.client, Stage: audit.StageMailbox, Action: action}
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
