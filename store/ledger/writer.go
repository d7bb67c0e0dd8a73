package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
)

// Config of a Writer. Zero values mean the defaults.
type Config struct {
	// Connections is how many batches may be in flight at once, 1 to 4. Default 1.
	Connections int
	// MaxBatch is the most operations in one transaction, 1 to 256. Default 128.
	MaxBatch int
	// Queue is how many operations may wait; past it callers wait within their context.
	// 1 to 65,536. Default 4,096.
	Queue int
	// BatchTimeout bounds one batch, connecting included, and so how long a dead link is
	// waited for. 100 ms to 1 min. Default 5 s.
	BatchTimeout time.Duration
}

// Writer groups the ledger writes of concurrent commands: while one batch is on its way the
// next one forms, and an idle writer sends at once. It is safe for concurrent use.
//
// Every method may be called again, as it was, after store.ErrUnavailable: the claim token and
// the command id make that harmless. store.ErrRefused means that this row's data can never be
// stored; other rows of its batch are not touched by it. When ctx ends first the error is
// that of ctx, and the write may or may not be made.
type Writer struct{}

var errSoon = errors.New("not there yet")

// NewWriter makes a writer. Its error names every problem of cfg. The pool needs
// cfg.Connections connections that nobody else holds for long. metrics may be nil.
func NewWriter(pool *postgres.Pool, cfg Config, metrics *Metrics) (*Writer, error) {
	return nil, errSoon
}

// Start begins to write; it does not block and needs no database yet.
func (w *Writer) Start(ctx context.Context) error { return errSoon }

// Stop refuses new operations, finishes those that wait, and returns when all is done or ctx ends.
func (w *Writer) Stop(ctx context.Context) error { return errSoon }

// Claim inserts a row, or returns the one that is there.
func (w *Writer) Claim(ctx context.Context, claim Claim) (Claimed, error) { return Claimed{}, errSoon }

// Reclaim gives an open row of that command a new token and a new start, so that an
// idempotent command can run again. ok is false when the row is decided, gone, or under
// a token other than old; row is then what stands, if anything.
func (w *Writer) Reclaim(ctx context.Context, key Key, commandID, old, new uuid.UUID) (row Row, ok bool, err error) {
	return Row{}, false, errSoon
}

// Decide sets the outcome of the row with that key and command id if it has none, and returns the row as
// it then stands. won is true only when this call set it. ErrNoRow when there is none of that key.
// After a lost answer the same decision called again finds itself in the row, with won false.
func (w *Writer) Decide(ctx context.Context, d Decision) (row Row, won bool, err error) {
	return Row{}, false, errSoon
}

// Delivered notes acks of clients. Marks of rows that are not there, not decided, or
// marked already do nothing.
func (w *Writer) Delivered(ctx context.Context, marks []DeliveredMark) error { return errSoon }
