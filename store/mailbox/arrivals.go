package mailbox

import (
	"context"
	"strings"
	"sync"

	"github.com/cupline/cupline/store/changes"
)

// Arrivals wakes those who wait for a client's mailbox: the long polls of this process. It is a
// changes.Subscriber and safe for concurrent use.
//
// The cost is bounded: the database sends one notification for each put-batch, whoever
// waits; a process that waits for nobody named in it drops it after a look into a map.
type Arrivals struct {
	mu      sync.Mutex // guards waiting
	waiting map[box]map[chan struct{}]struct{}
}

// NewArrivals makes an empty one.
func NewArrivals() *Arrivals {
	return &Arrivals{waiting: map[box]map[chan struct{}]struct{}{}}
}

// Wait registers for a client. wake receives (buffered, merged) after each batch that stored
// something for it, and after a gap in the notifications. Register first, then look
// into the mailbox, then wait. done ends it and must be called, once.
func (a *Arrivals) Wait(tenant, client string) (wake <-chan struct{}, done func()) {
	b, signal := box{tenant, client}, make(chan struct{}, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting[b] == nil {
		a.waiting[b] = map[chan struct{}]struct{}{}
	}
	a.waiting[b][signal] = struct{}{}
	return signal, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting[b], signal)
		if len(a.waiting[b]) == 0 {
			delete(a.waiting, b)
		}
	}
}

// Channels is changes.Mailbox.
func (a *Arrivals) Channels() []string { return []string{changes.Mailbox} }

// Notify wakes the clients that payload names.
func (a *Arrivals) Notify(_ context.Context, _, payload string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range strings.SplitSeq(payload, " ") {
		tenant, client, _ := strings.Cut(name, ".")
		wake(a.waiting[box{tenant, client}])
	}
}

// Connected wakes everyone: what was notified before is lost.
func (a *Arrivals) Connected(context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, signals := range a.waiting {
		wake(signals)
	}
}

// Disconnected does nothing.
func (a *Arrivals) Disconnected() {}

func wake(signals map[chan struct{}]struct{}) {
	for signal := range signals {
		select {
		case signal <- struct{}{}:
		default: // it is about to look anyway
		}
	}
}
