// Package identity keeps tenants and the keys that clients log in with.
package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

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

// Key is what is known of a key; never its secret.
type Key struct {
	Tenant string
	ID     string
	Client string
	Name   string
	Scopes []string
	// Created in database time; Expires, Revoked and LastUsed are zero for never. LastUsed lags by
	// up to VerifierConfig.FlushEvery.
	Created  time.Time
	Expires  time.Time
	Revoked  time.Time
	LastUsed time.Time
}

// NewKey asks for a key.
type NewKey struct {
	Tenant string
	Client string
	Name   string
	Scopes []string
	// Expires zero means never.
	Expires time.Time
}

// Store keeps tenants and keys. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

// PutTenant makes a tenant, or renames it. An id that may not be one is store.ErrRefused.
func (s *Store) PutTenant(ctx context.Context, id, name string) (created bool, err error) {
	if err := topology.CheckID("tenant", id); err != nil {
		return false, fmt.Errorf("put a tenant: %w: %w", store.ErrRefused, err)
	}
	// xmax is zero for a row that was inserted just now.
	err = s.pool.QueryRow(ctx, `insert into tenants (tenant, name) values ($1, $2)
		on conflict (tenant) do update set name = excluded.name returning xmax = 0`, id, name).Scan(&created)
	return created, store.Fault("put a tenant", err)
}

// Tenants returns a page of tenants in byte order of their ids, from behind after on.
func (s *Store) Tenants(ctx context.Context, after string, limit int) ([]Tenant, error) {
	rows, err := s.pool.Query(ctx, `select tenant, name, created_at from tenants where tenant > $1 order by tenant limit $2`,
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

const keyColumns = `tenant, key_id, client, name, scopes, created_at, expires_at, revoked_at, last_used_at`

// CreateKey makes a key. The token is shown this once: cup_<key id>_<secret>, the secret 256
// random bits of which only the SHA-256 is kept. ErrNotFound when there is no such tenant.
func (s *Store) CreateKey(ctx context.Context, n NewKey) (shown string, key Key, err error) {
	if err := topology.CheckID("client", n.Client); err != nil {
		return "", Key{}, fmt.Errorf("create a key: %w: %w", store.ErrRefused, err)
	}
	scopes := n.Scopes
	if scopes == nil {
		scopes = []string{}
	}
	keyID, secret := newToken()
	digest := hash(secret)
	key, err = scanKey(s.pool.QueryRow(ctx, `insert into api_keys (tenant, key_id, client, name, hash, scopes, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7) returning `+keyColumns,
		n.Tenant, keyID, n.Client, n.Name, digest[:], scopes, zeronull.Timestamptz(n.Expires)))
	switch {
	case brokenReference(err):
		return "", Key{}, fmt.Errorf("create a key: tenant %s: %w", n.Tenant, ErrNotFound)
	case err != nil:
		return "", Key{}, store.Fault("create a key", err)
	}
	return token(keyID, secret), key, nil
}

// RevokeKey ends a key on all processes at once; one that is revoked keeps its first time.
// ErrNotFound.
func (s *Store) RevokeKey(ctx context.Context, tenant, keyID string) error {
	tag, err := s.pool.Exec(ctx, `update api_keys set revoked_at = coalesce(revoked_at, now())
		where tenant = $1 and key_id = $2`, tenant, keyID)
	if err == nil && tag.RowsAffected() == 0 {
		return fmt.Errorf("revoke a key: %w", ErrNotFound)
	}
	return store.Fault("revoke a key", err)
}

// Keys returns a page of a tenant's keys in byte order of their ids, from behind after on, the
// revoked included.
func (s *Store) Keys(ctx context.Context, tenant, after string, limit int) ([]Key, error) {
	rows, err := s.pool.Query(ctx, `select `+keyColumns+` from api_keys
		where tenant = $1 and key_id > $2 order by key_id limit $3`, tenant, after, page(limit))
	if err != nil {
		return nil, store.Fault("list keys", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) { return scanKey(row) })
	return keys, store.Fault("list keys", err)
}

func scanKey(row pgx.Row, more ...any) (k Key, err error) {
	err = row.Scan(append([]any{&k.Tenant, &k.ID, &k.Client, &k.Name, &k.Scopes, &k.Created, (*zeronull.Timestamptz)(&k.Expires),
		(*zeronull.Timestamptz)(&k.Revoked), (*zeronull.Timestamptz)(&k.LastUsed)}, more...)...)
	for _, t := range []*time.Time{&k.Created, &k.Expires, &k.Revoked, &k.LastUsed} {
		*t = t.UTC()
	}
	return k, err
}

func page(limit int) int {
	if limit < 1 || limit > MaxPage {
		return MaxPage
	}
	return limit
}
