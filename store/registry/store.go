// Package registry keeps devices, device types and lanes.
package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
)

var (
	// ErrNotFound says that there is no such device, type or lane.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable is store.ErrUnavailable.
	ErrUnavailable = store.ErrUnavailable
	// ErrInUse says that a type still has devices, or a lane still has types.
	ErrInUse = errors.New("in use")
	// ErrNoTenant says that the tenant does not exist.
	ErrNoTenant = errors.New("no such tenant")
	// ErrNoType says that a device names a type that does not exist.
	ErrNoType = errors.New("no such device type")
	// ErrNoLane says that a type names a lane that does not exist, or that its tenant may not use.
	ErrNoLane = errors.New("no such lane")
	// ErrNotIdempotent says that a lane without a ledger would get a method that is not idempotent.
	// A type without methods counts as such: a method that nobody described is not idempotent.
	ErrNotIdempotent = errors.New("a lane without ledger takes only types whose methods are all idempotent")
	// ErrDefaultLane says that the default lane can neither go nor lose its ledger.
	ErrDefaultLane = errors.New("the default lane must stay, with its ledger")
)

// MaxPage is the most rows of one page; a limit below 1 or above means MaxPage.
const MaxPage = 1000

// Store keeps the registry. It is safe for concurrent use. What is put must have passed its
// own Check.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

// fault gives a database error the name that it has here.
func fault(attempted string, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		if known := byConstraint(refused.ConstraintName); known != nil {
			return fmt.Errorf("%s: %w", attempted, known)
		}
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s: %w", attempted, ErrNotFound)
	}
	return store.Fault(attempted, err)
}

// byConstraint tells what a broken reference means when a row is put.
func byConstraint(constraint string) error {
	switch constraint {
	case "devices_tenant_fkey", "device_types_tenant_fkey":
		return ErrNoTenant
	case "devices_type":
		return ErrNoType
	case "device_types_lane_fkey":
		return ErrNoLane
	}
	return nil
}

// deleted reads what a delete came to.
func deleted(attempted string, tag pgconn.CommandTag, err error) error {
	switch err := fault(attempted, err); {
	case errors.Is(err, ErrNoType), errors.Is(err, ErrNoLane): // somebody still points to it
		return fmt.Errorf("%s: %w", attempted, ErrInUse)
	case err != nil:
		return err
	case tag.RowsAffected() == 0:
		return fmt.Errorf("%s: %w", attempted, ErrNotFound)
	}
	return nil
}

func page(limit int) int {
	if limit < 1 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

// list collects a page.
func list[T any](ctx context.Context, s *Store, attempted string, scan func(pgx.Row) (T, error), sql string, args ...any) ([]T, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fault(attempted, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (T, error) { return scan(row) })
	if err != nil {
		return nil, fault(attempted, err)
	}
	return found, nil
}
