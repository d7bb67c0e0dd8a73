// Package identity keeps tenants and the keys that clients log in with.
package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
)

var (
	// ErrUnavailable is store.ErrUnavailable.
	ErrUnavailable = store.ErrUnavailable
	// ErrUnknown says that there is no such key, or that the secret is not its own.
	ErrUnknown = errors.New("unknown key")
	// ErrRevoked says that the key was revoked.
	ErrRevoked = errors.New("key revoked")
	// ErrExpired says that the key's time is over.
	ErrExpired = errors.New("key expired")
	// ErrNotFound says that there is no such tenant or key.
	ErrNotFound = errors.New("not found")
	// ErrReach says that a key would reach other devices than the client's keys that are good now: what
	// became of a command is told to the client, whichever key it was sent with.
	ErrReach = errors.New("the client has keys that reach other devices")
	// ErrEnded says that a key was revoked, or that its time is over.
	ErrEnded = errors.New("key ended")
	// ErrInUse says that a tenant still has keys, types or devices, or is the platform's own.
	ErrInUse = errors.New("in use")
)

// MaxPage is the most rows of one page; a limit below 1 or above means MaxPage.
const MaxPage = 1000

// Tenant is the boundary of isolation.
type Tenant struct {
	ID      string
	Name    string
	Created time.Time
}

// Store keeps tenants and keys. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

// PutTenant makes a tenant, or renames it. An id that may not be one is store.ErrRefused.
func (s *Store) PutTenant(ctx context.Context, id, name string) (created bool, err error) {
	if err := topology.CheckName("tenant", id); err != nil {
		return false, fmt.Errorf("put a tenant: %w: %w", store.ErrRefused, err)
	}
	// xmax is zero for a row that was inserted just now.
	err = s.pool.QueryRow(ctx, `insert into tenants (tenant, name) values ($1, $2)
		on conflict (tenant) do update set name = excluded.name returning xmax = 0`, id, name).Scan(&created)
	return created, store.Fault("put a tenant", err)
}

// tenantID finds out whether there is a tenant, or ErrNotFound. It needs no right to its name.
func (s *Store) tenantID(ctx context.Context, id string) (found string, err error) {
	err = s.pool.QueryRow(ctx, `select tenant from tenants where tenant = $1`, id).Scan(&found)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrNotFound
	}
	return found, store.Fault("find a tenant", err)
}

// Tenant returns one tenant, or ErrNotFound.
func (s *Store) Tenant(ctx context.Context, id string) (t Tenant, err error) {
	err = s.pool.QueryRow(ctx, `select tenant, name, created_at from tenants where tenant = $1`, id).Scan(&t.ID, &t.Name, &t.Created)
	t.Created = t.Created.UTC()
	if errors.Is(err, pgx.ErrNoRows) {
		return Tenant{}, fmt.Errorf("read a tenant: %w", ErrNotFound)
	}
	return t, store.Fault("read a tenant", err)
}

// Tenants returns a page of tenants in byte order of their ids, from behind after on.
func (s *Store) Tenants(ctx context.Context, after string, limit int) ([]Tenant, error) {
	rows, err := s.pool.Query(store.ForEveryTenant(ctx), `select tenant, name, created_at from tenants where tenant > $1 order by tenant limit $2`,
		after, page(limit))
	if err != nil {
		return nil, store.Fault("list tenants", err)
	}
	tenants, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Tenant, err error) {
		err = row.Scan(&t.ID, &t.Name, &t.Created)
		t.Created = t.Created.UTC()
		return t, err
	})
	return tenants, store.Fault("list tenants", err)
}

// DeleteTenant deletes a tenant: ErrNotFound, or ErrInUse while it has keys, types or devices.
func (s *Store) DeleteTenant(ctx context.Context, id string) error {
	if id == topology.SystemTenant {
		return fmt.Errorf("delete a tenant: %w", ErrInUse)
	}
	tag, err := s.pool.Exec(ctx, `delete from tenants where tenant = $1`, id)
	switch {
	case brokenReference(err):
		return fmt.Errorf("delete a tenant: %w", ErrInUse)
	case err != nil:
		return store.Fault("delete a tenant", err)
	case tag.RowsAffected() == 0:
		return fmt.Errorf("delete a tenant: %w", ErrNotFound)
	}
	return nil
}

// brokenReference reports a foreign key violation (23503).
func brokenReference(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "23503"
}

func page(limit int) int {
	if limit < 1 || limit > MaxPage {
		return MaxPage
	}
	return limit
}
