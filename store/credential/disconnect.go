package credential

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// Disconnect is a device whose connections to the broker are to end: a credential of it was revoked, or it was deleted.
type Disconnect struct {
	Tenant, Device string
	Asked          time.Time
	// Looks that have been taken before.
	Looks int
}

const (
	// disconnectLease is for how long one that was taken is left alone by other processes.
	disconnectLease = 30 * time.Second
	// secondLook comes after the first, for who was logging in at that moment: the broker's question had been answered, and its
	// connection was not listed yet.
	secondLook = 10 * time.Second
	looks      = 2
)

// TakeDisconnects takes up to limit that are due, of all tenants, the oldest first. Each is this process's own for half a
// minute, and ends with Disconnected or PutOff.
func (s *Store) TakeDisconnects(ctx context.Context, limit int) ([]Disconnect, error) {
	rows, err := s.pool.Query(ctx, `update device_disconnects d set due_at = clock_timestamp() + $2::interval
		from (select tenant, device from device_disconnects where due_at <= clock_timestamp() order by due_at limit $1
			for update skip locked) as due
		where d.tenant = due.tenant and d.device = due.device
		returning d.tenant, d.device, d.asked_at, d.looks`, limit, disconnectLease)
	if err != nil {
		return nil, store.Fault("take devices to disconnect", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Disconnect])
	return found, store.Fault("take devices to disconnect", err)
}

// Disconnected says that a look was taken, and how many connections it ended, which the audit trail is told. One that was
// asked for anew meanwhile stays as it is.
func (s *Store) Disconnected(ctx context.Context, d Disconnect, ended int) error {
	var batch pgx.Batch
	if d.Looks+1 < looks {
		batch.Queue(`update device_disconnects set looks = looks + 1, due_at = clock_timestamp() + $4::interval
			where tenant = $1 and device = $2 and asked_at = $3`, d.Tenant, d.Device, d.Asked, secondLook)
	} else {
		batch.Queue(`delete from device_disconnects where tenant = $1 and device = $2 and asked_at = $3`, d.Tenant, d.Device, d.Asked)
	}
	if ended > 0 {
		audit.Queue(&batch, audit.Entry{
			Tenant: d.Tenant, Stage: audit.StageDevice, Action: "disconnected", Device: d.Device,
			Detail: fmt.Sprintf("%d connections ended: a credential was revoked, or the device deleted", ended),
		})
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return tx.SendBatch(ctx, &batch).Close() })
	return store.Fault("note a device's disconnect", err)
}

// PutOff says that it could not be done now: it is tried again after a quarter of the time for which it has been tried, within
// these bounds.
func (s *Store) PutOff(ctx context.Context, d Disconnect, least, most time.Duration) error {
	_, err := s.pool.Exec(ctx, `update device_disconnects
		set due_at = clock_timestamp() + greatest($4::interval, least((clock_timestamp() - asked_at) / 4, $5::interval))
		where tenant = $1 and device = $2 and asked_at = $3`, d.Tenant, d.Device, d.Asked, least, most)
	return store.Fault("put off a device's disconnect", err)
}
