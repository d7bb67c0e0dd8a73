package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
)

// Key is what is known of a key; never its secret.
type Key struct {
	Tenant string
	ID     string
	Client string
	Name   string
	Scopes []string
	// Reach is which devices it may see and command.
	Reach device.Reach
	// Replaces is the id of the key in whose place this one came; empty for none.
	Replaces string
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
	Reach  device.Reach
	// Expires zero means never.
	Expires time.Time
}

const keyColumns = `tenant, key_id, client, name, scopes, device_pattern, device_labels, coalesce(replaces, ''), created_at, expires_at,
	revoked_at, last_used_at`

// CreateKey makes a key. The token is shown this once: cup_<key id>_<secret>, the secret 256
// random bits of which only the SHA-256 is kept. ErrNotFound when there is no such tenant, ErrReach when a key of that client
// that is good now reaches other devices.
func (s *Store) CreateKey(ctx context.Context, n NewKey) (shown string, key Key, err error) {
	if err := topology.CheckID("client", n.Client); err != nil {
		return "", Key{}, fmt.Errorf("create a key: %w: %w", store.ErrRefused, err)
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := sameReach(ctx, tx, n); err != nil {
			return err
		}
		shown, key, err = insertKey(ctx, tx, n, "")
		return err
	})
	if err != nil {
		return "", Key{}, keyFault("create a key", n.Tenant, err)
	}
	return shown, key, nil
}

func keyFault(attempted, tenant string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) || brokenReference(err) {
		return fmt.Errorf("%s: tenant %s: %w", attempted, tenant, ErrNotFound)
	}
	return store.Fault(attempted, err)
}

// sameReach holds the tenant's row until the end, so that two keys of one client are made one after the other.
func sameReach(ctx context.Context, tx pgx.Tx, n NewKey) error {
	var tenant string
	if err := tx.QueryRow(ctx, `select tenant from tenants where tenant = $1 for no key update`, n.Tenant).Scan(&tenant); err != nil {
		return err
	}
	pattern, labels, err := reachColumns(n.Reach)
	if err != nil {
		return err
	}
	var differs bool
	err = tx.QueryRow(ctx, `select exists (select from api_keys where tenant = $1 and client = $2 and revoked_at is null
		and coalesce(expires_at, 'infinity') > clock_timestamp() and (device_pattern <> $3 or device_labels is distinct from $4))`,
		n.Tenant, n.Client, pattern, labels).Scan(&differs)
	if err == nil && differs {
		return ErrReach
	}
	return err
}

// reachColumns are as they are compared: nothing where nothing is left out.
func reachColumns(r device.Reach) (pattern string, labels []byte, err error) {
	if r.Pattern != "*" {
		pattern = r.Pattern
	}
	if len(r.Labels) > 0 {
		if labels, err = json.Marshal(r.Labels); err != nil { // in the order of names
			return "", nil, fmt.Errorf("write the labels of a key's devices: %w", err)
		}
	}
	return pattern, labels, nil
}

func insertKey(ctx context.Context, tx pgx.Tx, n NewKey, replaces string) (string, Key, error) {
	scopes := n.Scopes
	if scopes == nil {
		scopes = []string{}
	}
	pattern, labels, err := reachColumns(n.Reach)
	if err != nil {
		return "", Key{}, err
	}
	keyID, secret := newToken()
	digest := hash(secret)
	key, err := scanKey(tx.QueryRow(ctx, `insert into api_keys (tenant, key_id, client, name, hash, scopes, expires_at, device_pattern,
		device_labels, replaces) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, '')) returning `+keyColumns,
		n.Tenant, keyID, n.Client, n.Name, digest[:], scopes, zeronull.Timestamptz(n.Expires), pattern, labels, replaces))
	return token(keyID, secret), key, err
}

// RotateKey makes a key like another, which stays good for overlap, and no longer than it was. expires is the end of the new
// one; zero gives it the span that the old one was given. ErrNotFound, or ErrEnded when the old one is no longer good.
func (s *Store) RotateKey(ctx context.Context, tenant, keyID string, overlap time.Duration, expires time.Time) (shown string, key Key, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var now time.Time
		old, err := scanKey(tx.QueryRow(ctx, `select `+keyColumns+`, clock_timestamp() from api_keys where tenant = $1 and key_id = $2 for update`,
			tenant, keyID), &now)
		switch {
		case err != nil:
			return err
		case !old.Revoked.IsZero() || !old.Expires.IsZero() && !now.Before(old.Expires):
			return ErrEnded
		}
		if expires.IsZero() && !old.Expires.IsZero() {
			expires = now.Add(old.Expires.Sub(old.Created))
		}
		if _, err := tx.Exec(ctx, `update api_keys set expires_at = least(expires_at, $3) where tenant = $1 and key_id = $2`,
			tenant, keyID, now.Add(overlap)); err != nil {
			return err
		}
		shown, key, err = insertKey(ctx, tx, NewKey{
			Tenant: tenant, Client: old.Client, Name: old.Name, Scopes: old.Scopes, Reach: old.Reach, Expires: expires,
		}, old.ID)
		return err
	})
	if err != nil {
		return "", Key{}, keyFault("rotate a key", tenant, err)
	}
	return shown, key, nil
}

// Key returns one key, or ErrNotFound.
func (s *Store) Key(ctx context.Context, tenant, keyID string) (Key, error) {
	key, err := scanKey(s.pool.QueryRow(ctx, `select `+keyColumns+` from api_keys where tenant = $1 and key_id = $2`, tenant, keyID))
	if err != nil {
		return Key{}, keyFault("read a key", tenant, err)
	}
	return key, nil
}

// AnyKey tells whether some tenant has a key that was not revoked. It is for who owns the tables: others see a tenant's alone.
func (s *Store) AnyKey(ctx context.Context) (found bool, err error) {
	err = s.pool.QueryRow(ctx, "select exists (select from api_keys where revoked_at is null)").Scan(&found)
	return found, store.Fault("look for keys", err)
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
	var labels []byte
	err = row.Scan(append([]any{&k.Tenant, &k.ID, &k.Client, &k.Name, &k.Scopes, &k.Reach.Pattern, &labels, &k.Replaces, &k.Created,
		(*zeronull.Timestamptz)(&k.Expires), (*zeronull.Timestamptz)(&k.Revoked), (*zeronull.Timestamptz)(&k.LastUsed)}, more...)...)
	for _, t := range []*time.Time{&k.Created, &k.Expires, &k.Revoked, &k.LastUsed} {
		*t = t.UTC()
	}
	if err == nil && labels != nil {
		if err = json.Unmarshal(labels, &k.Reach.Labels); err != nil {
			return k, fmt.Errorf("labels of the devices of key %s: %w", k.ID, err)
		}
	}
	return k, err
}
