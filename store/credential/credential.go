// Package credential keeps what devices log in to the broker with. Only hashes are kept.
package credential

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
)

var (
	// ErrUnavailable is store.ErrUnavailable.
	ErrUnavailable = store.ErrUnavailable
	// ErrNotFound says that there is no such credential.
	ErrNotFound = errors.New("not found")
	// ErrNoDevice says that there is no such device.
	ErrNoDevice = errors.New("no such device")
	// ErrTooMany says that the device has as many good credentials as it may have.
	ErrTooMany = errors.New("too many credentials")
	// ErrWrong says that a password is not one of the device's good ones. It does not say why.
	ErrWrong = errors.New("wrong password")
)

// MaxGood is the most credentials of one device that are good at a time.
const MaxGood = 8

// Credential is what is known of one; never its password.
type Credential struct {
	Tenant string
	Device string
	ID     string
	// Created in database time; the others are zero for never. LastLogin is true to the minute.
	Created, Expires, Revoked, LastLogin time.Time
}

// Store keeps credentials. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

const columns = `tenant, device, credential, created_at, expires_at, revoked_at, last_login_at`

// good is the condition under which a credential may be used.
const good = `revoked_at is null and (expires_at is null or expires_at > now())`

// Create makes a credential, good until expires, or for ever where that is zero. With replace, those that were good
// until now end after overlap, so that the device can be given the new one meanwhile. The password is told this once.
// ErrNoDevice, ErrTooMany.
func (s *Store) Create(ctx context.Context, tenant, device string, expires time.Time, replace bool, overlap time.Duration) (password string, made Credential, err error) {
	const attempted = "make a device's credential"
	id, password := newPassword()
	hash := hashOf(password)
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Two at a time would both find room.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, "credentials "+tenant+"/"+device); err != nil {
			return err
		}
		if replace {
			if _, err := tx.Exec(ctx, `update device_credentials set expires_at = least(expires_at, now() + $3::interval)
				where tenant = $1 and device = $2 and `+good, tenant, device, overlap); err != nil {
				return err
			}
		}
		var there int
		if err := tx.QueryRow(ctx, `select count(*) from device_credentials where tenant = $1 and device = $2 and `+good,
			tenant, device).Scan(&there); err != nil {
			return err
		}
		if there >= MaxGood {
			return ErrTooMany
		}
		made, err = scan(tx.QueryRow(ctx, `insert into device_credentials (tenant, device, credential, hash, expires_at)
			values ($1, $2, $3, $4, $5) returning `+columns, tenant, device, id, hash[:], zeronull.Timestamptz(expires)))
		return err
	})
	switch {
	case brokenReference(err):
		return "", Credential{}, fmt.Errorf("%s: %w", attempted, ErrNoDevice)
	case err != nil:
		return "", Credential{}, store.Fault(attempted, err)
	}
	return password, made, nil
}

// List returns a device's credentials, those revoked or expired included, the newest first, at most 1,000.
func (s *Store) List(ctx context.Context, tenant, device string) ([]Credential, error) {
	rows, err := s.pool.Query(ctx, `select `+columns+` from device_credentials where tenant = $1 and device = $2
		order by created_at desc, credential limit 1000`, tenant, device)
	if err != nil {
		return nil, store.Fault("list a device's credentials", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Credential, error) { return scan(row) })
	return found, store.Fault("list a device's credentials", err)
}

// Revoke ends a credential at once and for good; again changes nothing. ErrNotFound.
func (s *Store) Revoke(ctx context.Context, tenant, device, id string) error {
	const attempted = "revoke a device's credential"
	tag, err := s.pool.Exec(ctx, `update device_credentials set revoked_at = coalesce(revoked_at, now())
		where tenant = $1 and device = $2 and credential = $3`, tenant, device, id)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	return store.Fault(attempted, err)
}

// Verify returns which of the device's credentials a password is; ErrWrong, or ErrUnavailable.
func (s *Store) Verify(ctx context.Context, tenant, device, password string) (id string, err error) {
	const attempted = "verify a device's password"
	id, ok := idOf(password)
	if !ok {
		return "", fmt.Errorf("%s: %w", attempted, ErrWrong)
	}
	var kept []byte
	var stale bool
	err = s.pool.QueryRow(ctx, `select hash, coalesce(last_login_at < now() - interval '1 minute', true) from device_credentials
		where tenant = $1 and device = $2 and credential = $3 and `+good, tenant, device, id).Scan(&kept, &stale)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && !matches(kept, password):
		return "", fmt.Errorf("%s: %w", attempted, ErrWrong)
	case err != nil:
		return "", store.Fault(attempted, err)
	}
	if stale {
		_, err = s.pool.Exec(ctx, `update device_credentials set last_login_at = now()
			where tenant = $1 and device = $2 and credential = $3`, tenant, device, id)
	}
	return id, store.Fault("note a device's log-in", err)
}

func scan(row pgx.Row) (c Credential, err error) {
	err = row.Scan(&c.Tenant, &c.Device, &c.ID, &c.Created,
		(*zeronull.Timestamptz)(&c.Expires), (*zeronull.Timestamptz)(&c.Revoked), (*zeronull.Timestamptz)(&c.LastLogin))
	return c, err
}

// brokenReference tells whether a row names another that is not there (SQLSTATE 23503).
func brokenReference(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "23503"
}
