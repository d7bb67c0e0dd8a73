package registry

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/schema/device"
)

const (
	deviceWrites  = `tenant, device, type, address, labels`
	deviceColumns = deviceWrites + `, ` + pauseColumns
)

// PutDevice makes or replaces a device. created tells which. ErrNoTenant, ErrNoType.
func (s *Store) PutDevice(ctx context.Context, d device.Device) (created bool, err error) {
	var labels []byte
	if len(d.Labels) > 0 {
		if labels, err = json.Marshal(d.Labels); err != nil {
			return false, fmt.Errorf("put a device: %w", err)
		}
	}
	// xmax is zero for a row that was inserted just now.
	err = s.pool.QueryRow(ctx, `insert into devices (`+deviceWrites+`) values ($1, $2, $3, $4, $5)
		on conflict (tenant, device) do update set type = excluded.type, address = excluded.address, labels = excluded.labels,
		updated_at = now() returning xmax = 0`, d.Tenant, d.ID, d.Type, []byte(d.Address), labels).Scan(&created)
	if err != nil {
		return false, fault("put a device", err)
	}
	return created, nil
}

// Device returns one device, or ErrNotFound.
func (s *Store) Device(ctx context.Context, tenant, id string) (device.Device, error) {
	d, err := scanDevice(s.pool.QueryRow(ctx, `select `+deviceColumns+` from devices where tenant = $1 and device = $2`, tenant, id))
	if err != nil {
		return device.Device{}, fault("read a device", err)
	}
	return d, nil
}

// DeleteDevice deletes one device, or returns ErrNotFound.
func (s *Store) DeleteDevice(ctx context.Context, tenant, id string) error {
	tag, err := s.pool.Exec(ctx, `delete from devices where tenant = $1 and device = $2`, tenant, id)
	return deleted("delete a device", tag, err)
}

// Devices returns a page of a tenant's devices in byte order of their ids, from behind after on.
func (s *Store) Devices(ctx context.Context, tenant, after string, limit int) ([]device.Device, error) {
	return list(ctx, s, "list devices", scanDevice,
		`select `+deviceColumns+` from devices where tenant = $1 and device > $2 order by device limit $3`, tenant, after, page(limit))
}

// DeviceFilter chooses devices; all that is set must hold.
type DeviceFilter struct {
	Type string
	// Text stands somewhere in the device's id or its labels, in any case of letters.
	Text string
}

// FindDevices is Devices for those that the filter chooses. It reads all of the tenant's devices for a text that is rare.
func (s *Store) FindDevices(ctx context.Context, tenant string, f DeviceFilter, after string, limit int) ([]device.Device, error) {
	return list(ctx, s, "find devices", scanDevice, `select `+deviceColumns+` from devices where tenant = $1 and device > $2
		and ($3 = '' or type = $3) and ($4 = '' or strpos(lower(device), lower($4)) > 0
			or strpos(lower(convert_from(coalesce(labels, ''), 'UTF8')), lower($4)) > 0)
		order by device limit $5`, tenant, after, f.Type, f.Text, page(limit))
}

func scanDevice(row pgx.Row) (d device.Device, err error) {
	var labels []byte
	var p pause
	if err := row.Scan(&d.Tenant, &d.ID, &d.Type, (*[]byte)(&d.Address), &labels, &p.at, &p.By, &p.Why); err != nil {
		return device.Device{}, err
	}
	d.Paused = p.told()
	if labels != nil {
		if err := json.Unmarshal(labels, &d.Labels); err != nil {
			return device.Device{}, fmt.Errorf("labels of device %s: %w", d.ID, err)
		}
	}
	return d, nil
}
