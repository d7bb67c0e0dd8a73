package dispatch

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/outcome"
)

// Ledger is the table of commands started and their outcomes. Every method returns the
// row as it stands afterwards, and may be called again with the same arguments after an
// error: the claim token tells whether an earlier call took effect. Errors other than
// ErrUnrecordable are taken as temporary.
type Ledger interface {
	// Claim starts a command under a token, unless there is a row of its id already.
	Claim(ctx context.Context, c *Command, token uuid.UUID) (Row, error)
	// Reclaim starts an open row again: its token becomes token if it still was old.
	Reclaim(ctx context.Context, c *Command, old, token uuid.UUID) (Row, error)
	// Decide writes the device's answer to the command claimed under token, unless it is
	// decided. An answer that came too late is kept for auditors.
	Decide(ctx context.Context, c *Command, token uuid.UUID, body []byte) (Row, error)
}

// ErrUnrecordable tells that the ledger refuses the data itself: again will not help.
var ErrUnrecordable = errors.New("the ledger refuses this data")

// Row is a ledger row, as far as a dispatcher cares.
type Row struct {
	// CommandID and Digest are of the command that the row was made for.
	CommandID uuid.UUID
	Digest    [sha256.Size]byte
	// Token of whoever started it last.
	Token uuid.UUID
	// Started is when that was, in database time; Timeout the method's.
	Started time.Time
	Timeout time.Duration
	// Decided is nil while the row is open.
	Decided *Decided
}

// Grace is how long after the method's timeout an open row's worker still counts as alive.
const Grace = 2 * time.Second

// LostAt is the moment, in database time, from which the worker of an open row counts as lost.
func (r *Row) LostAt() time.Time { return r.Started.Add(r.Timeout + Grace) }

// Decided is the terminal outcome of a command. It never changes.
type Decided struct {
	// At in database time.
	At time.Time
	// Origin is envelope.OriginDevice, or envelope.OriginPlatform with a Reason.
	Origin string
	Reason outcome.Reason
	// Body is the JSON-RPC response for the client.
	Body []byte
}

// The states that a client is told of the command that has its id already.
const (
	StateOpen    = "open"
	StateDecided = "decided"
)

// State of the row in those words.
func (r *Row) State() string {
	if r.Decided == nil {
		return StateOpen
	}
	return StateDecided
}
