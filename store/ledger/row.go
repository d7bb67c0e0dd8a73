// Package ledger keeps which commands were started, by whom, and how they ended: what
// makes "one command, one outcome" and "never twice" hold (DESIGN section 5).
package ledger

import (
	"time"

	"github.com/google/uuid"
)

// Key names one row: one command of a client, or one redrive of it.
type Key struct {
	Tenant string
	Client string
	// ID holds the bytes of jsonrpc.ID.Key ("s:c-42", "i:42"), or OneWayID for a command without id.
	ID []byte
	// Redrive is 0 for the client's own post, n for the nth redrive.
	Redrive int
}

// OneWayID is the ID under which a one-way command is claimed: its command id.
func OneWayID(commandID uuid.UUID) []byte { return []byte("o:" + commandID.String()) }

// Claim says: I am about to start this command.
type Claim struct {
	Key
	// RawID holds the client's own id bytes, to be put back into outcomes; nil for one-way commands.
	RawID     []byte
	CommandID uuid.UUID
	// Token is new for each delivery: it tells this claim from any other worker's.
	Token uuid.UUID
	// Digest tells one (device, body) from another.
	Digest     [32]byte
	Device     string
	DeviceType string
	Method     string
	Lane       string
	// Timeout of the method, whole milliseconds are kept.
	Timeout    time.Duration
	Idempotent bool
	OneWay     bool
	// Accepted and Deadline are database time.
	Accepted time.Time
	Deadline time.Time
}

// Row is what the ledger says of one command.
type Row struct {
	Claim
	// Started is the database's time of the claim; zero when the command was settled
	// without ever being started.
	Started time.Time
	// Outcome is the JSON-RPC response that was decided; nil while open, and for one-way
	// commands an empty, non-nil slice once decided.
	Outcome []byte
	// Origin and Reason of the outcome, in the words of schema/envelope and schema/outcome.
	Origin string
	Reason string
	// Decided and Delivered are zero until it is.
	Decided   time.Time
	Delivered time.Time
}

// Open reports whether nothing was decided yet.
func (r *Row) Open() bool { return r.Outcome == nil }

// Claimed is the answer to a claim.
type Claimed struct {
	// Mine is true when the row carries the claim's own token: just inserted, or inserted by
	// an earlier call whose answer was lost.
	Mine bool
	// Row as it stands; with Mine from an earlier call it may already be decided.
	Row Row
}

// Decision is the one outcome of a command, to stand if none does yet.
type Decision struct {
	Key
	CommandID uuid.UUID
	// Outcome must not be nil; it is empty for a one-way command.
	Outcome []byte
	Origin  string
	Reason  string
	// Delivered marks the row as delivered too: for one-way commands, where nothing is.
	Delivered bool
}

// DeliveredMark notes that the client has acked the outcome. Tenant and client guard the
// row; the command id finds it, so that whoever pushes need not know the ledger's key.
type DeliveredMark struct {
	Tenant    string
	Client    string
	CommandID uuid.UUID
}
