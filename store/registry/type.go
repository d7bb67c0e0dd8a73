package registry

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/device"
)

const typeColumns = `tenant, type, lane, driver, methods, version`

// PutType makes or replaces a device type. ErrNoTenant, ErrNoLane, ErrNotIdempotent.
func (s *Store) PutType(ctx context.Context, t device.Type) (created bool, err error) {
	methods, err := json.Marshal(t.Methods)
	if err != nil {
		return false, fmt.Errorf("put a device type: %w", err)
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Held until the end, so that the lane cannot lose its ledger meanwhile.
		lane, err := scanLane(tx.QueryRow(ctx, `select `+laneColumns+` from lanes where lane = $1 for share`, t.Lane))
		switch {
		case postgres.IsNoRows(err) || err == nil && !lane.Allows(t.Tenant):
			return ErrNoLane
		case err != nil:
			return err
		case lane.LedgerOff && !allIdempotent(t):
			return ErrNotIdempotent
		}
		return tx.QueryRow(ctx, `insert into device_types (tenant, type, lane, driver, methods, all_idempotent)
			values ($1, $2, $3, $4, $5, $6) on conflict (tenant, type) do update set lane = excluded.lane, driver = excluded.driver,
			methods = excluded.methods, all_idempotent = excluded.all_idempotent, version = excluded.version, updated_at = now()
			returning xmax = 0`, t.Tenant, t.Name, t.Lane, t.Driver, methods, allIdempotent(t)).Scan(&created)
	})
	if err != nil {
		return false, fault("put a device type", err)
	}
	return created, nil
}

// allIdempotent reports whether a lane without ledger may take the type.
func allIdempotent(t device.Type) bool {
	for _, m := range t.Methods {
		if !m.Idempotent {
			return false
		}
	}
	return len(t.Methods) > 0
}

// Type returns one device type, or ErrNotFound.
func (s *Store) Type(ctx context.Context, tenant, name string) (device.Type, error) {
	t, err := s.versioned(ctx, tenant, name)
	return t.Type, err
}

// versioned is a type with the version of its last put.
type versioned struct {
	device.Type
	version int64
}

func (s *Store) versioned(ctx context.Context, tenant, name string) (versioned, error) {
	t, err := scanType(s.pool.QueryRow(ctx, `select `+typeColumns+` from device_types where tenant = $1 and type = $2`, tenant, name))
	if err != nil {
		return versioned{}, fault("read a device type", err)
	}
	return t, nil
}

// DeleteType deletes one device type: ErrNotFound, or ErrInUse while devices have it.
func (s *Store) DeleteType(ctx context.Context, tenant, name string) error {
	tag, err := s.pool.Exec(ctx, `delete from device_types where tenant = $1 and type = $2`, tenant, name)
	return deleted("delete a device type", tag, err)
}

// Types returns a page of a tenant's device types in byte order of their names, from behind after on.
func (s *Store) Types(ctx context.Context, tenant, after string, limit int) ([]device.Type, error) {
	return list(ctx, s, "list device types", func(row pgx.Row) (device.Type, error) {
		t, err := scanType(row)
		return t.Type, err
	}, `select `+typeColumns+` from device_types where tenant = $1 and type > $2 order by type limit $3`, tenant, after, page(limit))
}

func scanType(row pgx.Row) (t versioned, err error) {
	var methods []byte
	if err := row.Scan(&t.Tenant, &t.Name, &t.Lane, &t.Driver, &methods, &t.version); err != nil {
		return versioned{}, err
	}
	if err := json.Unmarshal(methods, &t.Methods); err != nil {
		return versioned{}, fmt.Errorf("methods of device type %s: %w", t.Name, err)
	}
	return t, nil
}
