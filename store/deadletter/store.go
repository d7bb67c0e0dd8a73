package deadletter

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/ledger"
)

// Resolution is what the caller wants done about a dead command, given what the ledger says.
type Resolution struct {
	// Hold, when positive, means that nothing is written now: come back after that long.
	Hold time.Duration
	// Letter to keep; nil for none. One that is there already, by (tenant, command id) or else by
	// (tenant, digest), is not written again, and Audit neither: they went in together.
	Letter *Letter
	// Audit entries to append.
	Audit []audit.Entry
	// Decide, when not nil, sets the outcome: of the open row of that command id, or, when there was no
	// row, of a new one made of Claim, which then was never started.
	Decide *ledger.Decision
	// Claim describes the command for a row that is inserted decided; Token stays uuid.Nil.
	Claim ledger.Claim
}

// Settled is what a settlement came to.
type Settled struct {
	// Hold is the Resolution's; when positive nothing was written.
	Hold time.Duration
	// Row as it stands after the settlement; nil when there is none.
	Row *ledger.Row
	// Decided is true when this settlement set the outcome.
	Decided bool
	// LetterID of the letter, new or found; uuid.Nil when there is none.
	LetterID uuid.UUID
	// Again is true when the letter was already there: a redelivery.
	Again bool
}

// ErrContended says that claims kept coming between the look into the ledger and the
// write. It is an store.ErrUnavailable: call again.
var ErrContended = errors.New("the ledger row kept changing")

// ErrNotFound says that there is no such letter.
var ErrNotFound = errors.New("no such dead letter")

// Store keeps dead letters. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

var errSoon = errors.New("not there yet")

// Settle ends one command in one transaction: it locks the ledger row of key, asks decide what
// that row means (nil: there is none), and writes the Resolution. decide must be pure: it is
// called again when a claim came in between. An empty key.Tenant or key.ID means a message that names no
// command: there is no row then, and Decide must be nil.
//
// Settle may be called again after any error, and for a message that was settled before.
func (s *Store) Settle(ctx context.Context, key ledger.Key, decide func(row *ledger.Row) Resolution) (Settled, error) {
	return Settled{}, errSoon
}

// Park keeps a message that cannot be kept as a letter: under topology.SystemTenant, with every
// text made storable, reason "unrecordable". It never refuses a letter for its data. The whole
// message's digest tells one from another; again is true when it is there already.
func (s *Store) Park(ctx context.Context, letter Letter, entries ...audit.Entry) (letterID uuid.UUID, again bool, err error) {
	return uuid.Nil, false, errSoon
}

// Get returns one letter whole, or ErrNotFound.
func (s *Store) Get(ctx context.Context, tenant string, letterID uuid.UUID) (Letter, error) {
	return Letter{}, errSoon
}

// List returns up to limit letters of a tenant, newest first, that died before that time
// (zero: all). Payload, Properties, Headers, Deaths and Outcome are left out.
func (s *Store) List(ctx context.Context, tenant string, before time.Time, limit int) ([]Letter, error) {
	return nil, errSoon
}
