// Package identity keeps tenants and the keys that clients log in with.
package identity

import (
	"context"
	"errors"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
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
	// ErrInUse says that a tenant still has keys, types or devices.
	ErrInUse = errors.New("in use")
)

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
	// up to Verifier's flush interval.
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

// Principal is who a token stands for.
type Principal struct {
	Tenant string
	Client string
	KeyID  string
	// Scopes is shared by all who verify: it must not be changed.
	Scopes []string
	// Expires zero means never.
	Expires time.Time
}

// Store keeps tenants and keys. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

var errSoon = errors.New("not there yet")

// PutTenant makes a tenant, or renames it.
func (s *Store) PutTenant(ctx context.Context, id, name string) (created bool, err error) {
	return false, errSoon
}

// Tenants returns a page of tenants in byte order of their ids, from behind after on.
func (s *Store) Tenants(ctx context.Context, after string, limit int) ([]Tenant, error) {
	return nil, errSoon
}

// DeleteTenant deletes a tenant: ErrNotFound, or ErrInUse while it has keys, types or devices.
func (s *Store) DeleteTenant(ctx context.Context, id string) error { return errSoon }

// CreateKey makes a key. The token is shown this once: cup_<key id>_<secret>, the secret 256
// random bits of which only the SHA-256 is kept. ErrNotFound when there is no such tenant.
func (s *Store) CreateKey(ctx context.Context, n NewKey) (token string, key Key, err error) {
	return "", Key{}, errSoon
}

// RevokeKey ends a key on all processes at once; one that is revoked keeps its first time.
// ErrNotFound.
func (s *Store) RevokeKey(ctx context.Context, tenant, keyID string) error { return errSoon }

// Keys returns a page of a tenant's keys in byte order of their ids, from behind after on, the
// revoked included.
func (s *Store) Keys(ctx context.Context, tenant, after string, limit int) ([]Key, error) {
	return nil, errSoon
}
