package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/schema/topology"
)

const laneColumns = `lane, max_ttl_ms, max_length, not ledger, tenants, ` + pauseColumns + `,
	exists (select from lane_drains d where d.lane = lanes.lane and d.state = 'running')`

// PutLane makes or replaces a lane. ErrNotIdempotent when it would lose its ledger under
// types that need it; ErrDefaultLane.
func (s *Store) PutLane(ctx context.Context, lane topology.Lane) (created bool, err error) {
	if lane.LedgerOff && lane.Name == topology.DefaultLane().Name {
		return false, fmt.Errorf("put a lane: %w", ErrDefaultLane)
	}
	tenants := lane.Tenants
	if tenants == nil {
		tenants = []string{}
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// The row first: whoever puts a type on this lane waits, or is seen below.
		err := tx.QueryRow(ctx, `insert into lanes (lane, max_ttl_ms, max_length, ledger, tenants) values ($1, $2, $3, $4, $5)
			on conflict (lane) do update set max_ttl_ms = excluded.max_ttl_ms, max_length = excluded.max_length,
			ledger = excluded.ledger, tenants = excluded.tenants, updated_at = now() returning xmax = 0`,
			lane.Name, lane.MaxTTL.Milliseconds(), lane.MaxLength, !lane.LedgerOff, tenants).Scan(&created)
		if err != nil || !lane.LedgerOff {
			return err
		}
		var needed bool
		err = tx.QueryRow(ctx, `select exists (select from device_types where lane = $1 and not all_idempotent)`, lane.Name).Scan(&needed)
		if err == nil && needed {
			return ErrNotIdempotent
		}
		return err
	})
	if err != nil {
		return false, fault("put a lane", err)
	}
	return created, nil
}

// Lane returns one lane, or ErrNotFound.
func (s *Store) Lane(ctx context.Context, name string) (topology.Lane, error) {
	lane, err := scanLane(s.pool.QueryRow(ctx, `select `+laneColumns+` from lanes where lane = $1`, name))
	if err != nil {
		return topology.Lane{}, fault("read a lane", err)
	}
	return lane, nil
}

// DeleteLane deletes a lane: ErrNotFound, ErrInUse while types have it, ErrDefaultLane.
func (s *Store) DeleteLane(ctx context.Context, name string) error {
	if name == topology.DefaultLane().Name {
		return fmt.Errorf("delete a lane: %w", ErrDefaultLane)
	}
	tag, err := s.pool.Exec(ctx, `delete from lanes where lane = $1`, name)
	return deleted("delete a lane", tag, err)
}

// Lanes returns all lanes in byte order of their names.
func (s *Store) Lanes(ctx context.Context) ([]topology.Lane, error) {
	return list(ctx, s, "list lanes", scanLane, `select `+laneColumns+` from lanes order by lane`)
}

func scanLane(row pgx.Row) (lane topology.Lane, err error) {
	var ttl int64
	var p pause
	err = row.Scan(&lane.Name, &ttl, &lane.MaxLength, &lane.LedgerOff, &lane.Tenants, &p.at, &p.By, &p.Why, &lane.Draining)
	if err != nil {
		return topology.Lane{}, err
	}
	lane.Paused = p.told()
	lane.MaxTTL = time.Duration(ttl) * time.Millisecond
	if len(lane.Tenants) == 0 {
		lane.Tenants = nil
	}
	return lane, nil
}
