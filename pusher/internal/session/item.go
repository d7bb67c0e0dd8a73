package session

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/push"
)

// Cause is why a live outcome was not taken or not acked, and goes to the mailbox.
type Cause string

// The causes; Taken is none.
const (
	Taken Cause = ""
	// UnknownClient: nobody here has that client; the binding is stale.
	UnknownClient Cause = "unknown_client"
	// NotConnected: the client's sockets are gone, its place is kept for a while.
	NotConnected Cause = "not_connected"
	// Lagging: the session reads from the mailbox first.
	Lagging Cause = "lagging"
	// WindowFull: the session just went over to lagging.
	WindowFull Cause = "window_full"
	// Unacked: sent, and not acked in time.
	Unacked Cause = "unacked"
	// SocketLost: sent, and the session ended before its ack.
	SocketLost Cause = "socket_lost"
	// Crowded: the oldest of more unacked outcomes than this process wants to hold.
	Crowded Cause = "crowded"
)

// Verdict is what becomes of a delivery.
type Verdict struct {
	Kind Kind
	// Doubtful goes with Acked: a copy may lie in the client's mailbox.
	Doubtful bool
	// Cause goes with Refused.
	Cause Cause
}

// Kind of a verdict.
type Kind uint8

// The kinds of verdict.
const (
	// Acked: a client has it.
	Acked Kind = iota + 1
	// Covered: it is a copy of an outcome that is on its way to the client already.
	Covered
	// Refused: it has to go to the mailbox.
	Refused
)

// Live is the broker's delivery of an outcome, which waits for one verdict.
type Live interface {
	// Settle is called once, on any goroutine and maybe with locks of sessions held: it
	// must not block and not call back.
	Settle(it *Item, v Verdict)
	// Lost reports that the broker has taken the delivery back: a verdict no longer
	// reaches it, and it will come again.
	Lost() bool
}

// Item is one outcome on its way to a client, held by every session that was sent it.
type Item struct {
	// ID is the command id.
	ID     uuid.UUID
	Tenant string
	Client string
	Lane   string
	// Reason is the platform's, where it is the platform's outcome; Failed tells that the device
	// answered with an error.
	Reason string
	Failed bool
	// Trace is the W3C traceparent that it came with, for exemplars.
	Trace string
	// Accepted is when the command was, in database time.
	Accepted time.Time
	// Redelivered live outcomes were given to a pusher before.
	Redelivered bool
	// Outcome is the frame, but for its seq and source.
	Outcome push.Outcome

	live Live // nil for what was read from the mailbox

	mu      sync.Mutex
	holders int
	covered bool
	settled bool
	refused bool
}

// NewLive makes an item of a delivery. Its maker holds it, and lets go with Release.
func NewLive(live Live) *Item { return &Item{live: live, holders: 1} }

// IsLive reports that it came as a delivery, not out of the mailbox.
func (it *Item) IsLive() bool { return it.live != nil }

// frameOverhead is about what a frame has besides the response: names, ids, times.
const frameOverhead = 320

// Size of its frame in bytes, about.
func (it *Item) Size() int { return len(it.Outcome.Response) + len(it.Outcome.ID) + frameOverhead }

// hold makes one more holder; false when it was settled already.
func (it *Item) hold() bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.settled {
		return false
	}
	it.holders++
	return true
}

// cover notes that a session has a copy of it on its way.
func (it *Item) cover() {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.covered = true
}

// Release ends one holding. With the last one, what was not acked is refused.
func (it *Item) Release(cause Cause) {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.holders--
	if it.settled || it.holders > 0 {
		return
	}
	it.settled = true
	if it.covered {
		it.live.Settle(it, Verdict{Kind: Covered})
		return
	}
	it.refused = true
	it.live.Settle(it, Verdict{Kind: Refused, Cause: cause})
}

// Evict refuses it, whoever holds it; sessions find out when they look at it next.
func (it *Item) Evict(cause Cause) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.settled {
		return
	}
	it.settled, it.refused = true, true
	it.live.Settle(it, Verdict{Kind: Refused, Cause: cause})
}

// ack settles it as received; false when it had been refused before. The first ack counts.
func (it *Item) ack(doubtful bool) bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.settled {
		return !it.refused
	}
	it.settled = true
	it.live.Settle(it, Verdict{Kind: Acked, Doubtful: doubtful})
	return true
}

// wasRefused reports that it went to the mailbox.
func (it *Item) wasRefused() bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.refused
}

// lost reports that it waits for a verdict that can no longer reach the broker.
func (it *Item) lost() bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	return !it.settled && it.live.Lost()
}
