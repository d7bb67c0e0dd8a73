// Package mailbox keeps the outcomes that wait for clients which are not connected.
package mailbox

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
)

// Item is one outcome for one client.
type Item struct {
	Tenant    string
	Client    string
	CommandID uuid.UUID
	// RawID holds the client's own id bytes; nil when it could not be read.
	RawID    []byte
	Redrive  int
	Device   string
	Method   string
	Lane     string
	Origin   string
	Reason   string
	Accepted time.Time
	// At is when it was decided.
	At time.Time
	// Response is the JSON-RPC response; its length is what counts against the quota.
	Response []byte
	// Seq orders a client's outcomes; set by Fetch.
	Seq int64
}

// PutResult is what became of one item.
type PutResult uint8

const (
	// Stored: it waits in the mailbox now.
	Stored PutResult = iota + 1
	// Already: it was put before; it waits, or was acked.
	Already
	// Delivered: the ledger says that the client has acked this very command's outcome.
	Delivered
	// OverQuota: refused, counted as missed, audited; the outcome is still in the ledger.
	OverQuota
	// Refused: the database cannot keep this item's data; its batch is not touched by that.
	Refused
)

// Limits of one client's mailbox. Zero values mean the defaults.
type Limits struct {
	// Outcomes that may wait. Default 10,000.
	Outcomes int64
	// Bytes of waiting responses. Default 64 MiB.
	Bytes int64
}

// AckMark says that a client has got the outcome of a command.
type AckMark struct {
	Tenant    string
	Client    string
	CommandID uuid.UUID
}

// Counts of one client's mailbox.
type Counts struct {
	Waiting int64
	Bytes   int64
	// Missed outcomes were refused for the quota, ever.
	Missed int64
}

// Store keeps mailboxes. It is safe for concurrent use.
type Store struct{}

var errSoon = errors.New("not there yet")

// New makes a store on the pool.
func New(pool *postgres.Pool, limits Limits) *Store { return &Store{} }

// MaxBatch is the most items or marks that one transaction takes; longer calls use several.
const MaxBatch = 256

// Put stores items, each once for its command id, and notifies changes.Mailbox once for each
// transaction. Results stand in the order of items. After an error some may be stored:
// calling again with all of them is harmless.
func (s *Store) Put(ctx context.Context, items []Item) ([]PutResult, error) { return nil, errSoon }

// Fetch returns a client's oldest outcomes that are not acked and not excluded (those in flight
// on a session), up to maxRows of them and maxBytes of responses, but one at least, and how
// many wait in all, the excluded included.
func (s *Store) Fetch(ctx context.Context, tenant, client string, exclude []uuid.UUID, maxRows int, maxBytes int64) (items []Item, waiting int64, err error) {
	return nil, 0, errSoon
}

// Ack notes that clients have got outcomes, here and in the ledger (delivered). Marks of
// outcomes that are not here still reach the ledger; marks made before do nothing.
func (s *Store) Ack(ctx context.Context, marks []AckMark) error { return errSoon }

// Counts of a client; all zero for one that never had an outcome here.
func (s *Store) Counts(ctx context.Context, tenant, client string) (Counts, error) {
	return Counts{}, errSoon
}

// Prune deletes up to limit rows acked before ackedBefore, and up to limit rows stored before
// storedBefore that nobody ever fetched; the latter leave the counts and are audited. It returns how
// many of each.
func (s *Store) Prune(ctx context.Context, ackedBefore, storedBefore time.Time, limit int) (acked, expired int64, err error) {
	return 0, 0, errSoon
}
