package mailbox

import "context"

// Arrivals wakes those who wait for a client's mailbox: the long polls of this process. It is a
// changes.Subscriber and safe for concurrent use.
//
// The cost is bounded: the database sends one notification for each put-batch, whoever
// waits; a process that waits for nobody drops it after one look into a map.
type Arrivals struct{}

// NewArrivals makes an empty one.
func NewArrivals() *Arrivals { return &Arrivals{} }

// Wait registers for a client. wake receives (buffered, merged) after each batch that stored
// something for it, and after a gap in the notifications. Register first, then look
// into the mailbox, then wait. done ends it and must be called.
func (a *Arrivals) Wait(tenant, client string) (wake <-chan struct{}, done func()) {
	return nil, func() {}
}

// Channels is changes.Mailbox.
func (a *Arrivals) Channels() []string { return nil }

// Notify wakes the clients that payload names.
func (a *Arrivals) Notify(ctx context.Context, channel, payload string) {}

// Connected wakes everyone: what was notified before is lost.
func (a *Arrivals) Connected(ctx context.Context) {}

// Disconnected does nothing.
func (a *Arrivals) Disconnected() {}
