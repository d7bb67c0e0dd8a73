package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
)

// ErrNoRow says that the ledger holds no such row: not started yet, never accepted, or forgotten.
var ErrNoRow = errors.New("not in the ledger")

// Reader answers from the ledger. It is safe for concurrent use.
type Reader struct{ pool *postgres.Pool }

// NewReader makes a reader on the pool.
func NewReader(pool *postgres.Pool) *Reader { return &Reader{pool: pool} }

// ByCommandID returns the row of one command of a client, or ErrNoRow.
func (r *Reader) ByCommandID(ctx context.Context, tenant, client string, commandID uuid.UUID) (Row, error) {
	const query = `select ` + columns + ` from ledger
		where command_id = $1 and tenant is not distinct from $2 and client is not distinct from $3 limit 1`
	return one(r.pool.QueryRow(ctx, query, [16]byte(commandID), tenant, client))
}

// Get returns the row of that key, or ErrNoRow.
func (r *Reader) Get(ctx context.Context, key Key) (Row, error) {
	return one(r.pool.QueryRow(ctx, selectSQL, key.Tenant, key.Client, key.ID, key.Redrive))
}

func one(found pgx.Row) (Row, error) {
	row, err := scan(found)
	if errors.Is(err, pgx.ErrNoRows) {
		return Row{}, ErrNoRow
	}
	return row, store.Fault("read the ledger", err)
}

// ByID returns the rows of one id of a client, its own post first, then the redrives in their
// order; none is no error.
func (r *Reader) ByID(ctx context.Context, tenant, client string, id []byte) ([]Row, error) {
	const query = `select ` + columns + ` from ledger where tenant = $1 and client = $2 and id = $3 order by redrive`
	rows, err := r.pool.Query(ctx, query, tenant, client, id)
	if err != nil {
		return nil, store.Fault("read the ledger", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Row, error) { return scan(row) })
	return found, store.Fault("read the ledger", err)
}

// Open returns up to limit rows without outcome that were made in [from, before), oldest first. It
// reads every row of that time: a watch over what stays open asks for one stretch of time
// after the other, each once it is old enough.
func (r *Reader) Open(ctx context.Context, from, before time.Time, limit int) ([]Row, error) {
	rows, err := r.pool.Query(ctx, `select `+columns+` from ledger where created_at >= $1 and created_at < $2
		and outcome is null order by created_at limit $3`, from, before, limit)
	if err != nil {
		return nil, store.Fault("read the ledger", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Row, error) { return scan(row) })
	return found, store.Fault("read the ledger", err)
}
