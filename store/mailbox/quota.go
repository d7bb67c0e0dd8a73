package mailbox

import (
	"context"

	"github.com/cupline/cupline/chassis/postgres"
)

// Quota knows from memory which mailboxes are full, kept fresh by notifications. Memory is
// one entry for each full mailbox. It is a changes.Subscriber and safe for concurrent use.
//
// A mailbox is full from the moment it reaches a limit until it is down to nine tenths of
// both, so that a client at the edge does not flap. While notifications do not come the
// last that was known holds.
type Quota struct{}

// NewQuota makes a quota; it knows of no full mailbox until Connected.
func NewQuota(pool *postgres.Pool) *Quota { return &Quota{} }

// Full reports whether new commands of that client are to be refused with 429.
func (q *Quota) Full(tenant, client string) bool { return false }

// Channels is changes.Quota.
func (q *Quota) Channels() []string { return nil }

// Notify takes one crossing of a quota.
func (q *Quota) Notify(ctx context.Context, channel, payload string) {}

// Connected loads all full mailboxes anew.
func (q *Quota) Connected(ctx context.Context) {}

// Disconnected keeps what is known.
func (q *Quota) Disconnected() {}
