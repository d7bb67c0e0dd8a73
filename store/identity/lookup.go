package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
)

// secured is a key with what its secret has to match.
type secured struct {
	Key
	hash [sha256.Size]byte
}

// byID reads one key for a Verifier: ErrUnknown when there is none.
func (s *Store) byID(ctx context.Context, keyID string) (*secured, error) {
	var k secured
	var digest []byte
	ctx = store.ForEveryTenant(ctx) // whose it is, the key tells
	key, err := scanKey(s.pool.QueryRow(ctx, `select `+keyColumns+`, hash from api_keys where key_id = $1`, keyID), &digest)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, ErrUnknown
	case err != nil:
		return nil, store.Fault("read a key", err)
	}
	k.Key = key
	copy(k.hash[:], digest)
	return &k, nil
}

// revokedFor returns the keys that were revoked within that time until now, of the database's clock.
func (s *Store) revokedFor(ctx context.Context, span time.Duration) ([]Key, error) {
	rows, err := s.pool.Query(store.ForEveryTenant(ctx), `select `+keyColumns+` from api_keys
		where revoked_at > now() - $1 * interval '1 microsecond'`, span.Microseconds())
	if err != nil {
		return nil, store.Fault("find revoked keys", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) { return scanKey(row) })
	return keys, store.Fault("find revoked keys", err)
}

// endedFor returns the keys whose time was over within that span until now, of the database's clock.
func (s *Store) endedFor(ctx context.Context, span time.Duration) ([]Key, error) {
	rows, err := s.pool.Query(store.ForEveryTenant(ctx), `select `+keyColumns+` from api_keys
		where expires_at > now() - $1 * interval '1 microsecond' and expires_at <= now()`, span.Microseconds())
	if err != nil {
		return nil, store.Fault("find keys whose time is over", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) { return scanKey(row) })
	return keys, store.Fault("find keys whose time is over", err)
}

// withScope returns the ids of up to limit good keys that have a scope, the newest first.
func (s *Store) withScope(ctx context.Context, scope string, limit int) ([]string, error) {
	rows, err := s.pool.Query(store.ForEveryTenant(ctx), `select key_id from api_keys where $1 = any(scopes) and revoked_at is null
		and (expires_at is null or expires_at > now()) order by created_at desc limit $2`, scope, limit)
	if err != nil {
		return nil, store.Fault("find keys by their scope", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return ids, store.Fault("find keys by their scope", err)
}

// use is the last time a key was used.
type use struct {
	keyID string
	at    time.Time
}

// noteUses writes last uses, in one order, so that processes cannot deadlock.
func (s *Store) noteUses(ctx context.Context, uses []use) error {
	ctx = store.ForEveryTenant(ctx)
	slices.SortFunc(uses, func(a, b use) int { return strings.Compare(a.keyID, b.keyID) })
	for chunk := range slices.Chunk(uses, 256) {
		var batch pgx.Batch
		for _, u := range chunk {
			batch.Queue(`update api_keys set last_used_at = greatest(last_used_at, $2) where key_id = $1`, u.keyID, u.at)
		}
		if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
			return store.Fault("note last uses", err)
		}
	}
	return nil
}

// good tells whether the key's time has come to an end.
func (k *secured) good(now time.Time) error {
	switch {
	case !k.Revoked.IsZero():
		return ErrRevoked
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return ErrExpired
	}
	return nil
}

// matches compares in constant time.
func (k *secured) matches(secret string) bool {
	digest := hash(secret)
	return subtle.ConstantTimeCompare(digest[:], k.hash[:]) == 1
}
