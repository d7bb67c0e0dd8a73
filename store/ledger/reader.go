package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
)

// ErrNoRow says that the ledger holds no such row: not started yet, never accepted, or forgotten.
var ErrNoRow = errors.New("not in the ledger")

// Reader answers from the ledger. It is safe for concurrent use.
type Reader struct{ pool *postgres.Pool }

// NewReader makes a reader on the pool.
func NewReader(pool *postgres.Pool) *Reader { return &Reader{pool: pool} }

// ByCommandID returns the row of one command of a client, or ErrNoRow.
func (r *Reader) ByCommandID(ctx context.Context, tenant, client string, commandID uuid.UUID) (Row, error) {
	return Row{}, errSoon
}

// ByID returns the rows of one id of a client, its own post first, then the redrives in their
// order; none is no error.
func (r *Reader) ByID(ctx context.Context, tenant, client string, id []byte) ([]Row, error) {
	return nil, errSoon
}

// Get returns the row of that key, or ErrNoRow.
func (r *Reader) Get(ctx context.Context, key Key) (Row, error) { return Row{}, errSoon }

// Prune forgets up to limit rows that were decided before that time, oldest first, and
// returns how many. Open rows are never forgotten.
func (r *Reader) Prune(ctx context.Context, decidedBefore time.Time, limit int) (int64, error) {
	return 0, errSoon
}
