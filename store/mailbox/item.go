// Package mailbox keeps the outcomes that wait for clients which are not connected.
package mailbox

import (
	"cmp"
	"time"

	"github.com/google/uuid"
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
	// Trace is the W3C traceparent that it came with; empty for none.
	Trace string
	// Seq orders a client's outcomes; set by Fetch.
	Seq int64
}

// PutResult is what became of one item.
type PutResult uint8

const (
	// Stored says that it waits in the mailbox now.
	Stored PutResult = iota + 1
	// Already says that it was put before; it waits, or was acked.
	Already
	// Delivered says that, by the ledger, the client has acked this very command's outcome.
	Delivered
	// OverQuota says that it was refused, counted as missed once, audited; the outcome is still in the ledger.
	OverQuota
	// Refused says that the database cannot keep this item's data; its batch is not touched by that.
	Refused
)

// Limits of one client's mailbox. Zero values mean the defaults.
type Limits struct {
	// Outcomes that may wait. Default 10,000.
	Outcomes int64
	// Bytes of waiting responses. Default 64 MiB.
	Bytes int64
}

func (l Limits) withDefaults() Limits {
	return Limits{Outcomes: cmp.Or(l.Outcomes, 10_000), Bytes: cmp.Or(l.Bytes, 64<<20)}
}

// AckMark says that a client has got the outcome of a command.
type AckMark struct {
	Tenant    string
	Client    string
	CommandID uuid.UUID
	// RawID is the client's own id of an outcome that was sent past the mailbox, and of which a copy may yet come here. Where
	// neither a row here nor one of the ledger can tell that it was got, as with the outcome of a repeated post, a row is left
	// that does. Nil for what was fetched from here.
	RawID []byte
}

// Counts of one client's mailbox.
type Counts struct {
	Waiting int64
	Bytes   int64
	// Missed outcomes were refused for the quota, or deleted before the client fetched them, ever.
	Missed int64
}

// box names one client's mailbox.
type box struct{ tenant, client string }

func compareBoxes(a, b box) int {
	return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.client, b.client))
}
