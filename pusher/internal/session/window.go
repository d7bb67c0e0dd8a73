package session

import (
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrAhead says that a client acked what it was never sent.
var ErrAhead = errors.New("acked a seq that was never sent")

// Entry is one outcome that was sent and not acked.
type Entry struct {
	Item *Item
	// Live entries keep a delivery waiting; the others lie in the mailbox, or are on their way there.
	Live bool
	Sent time.Time
}

// Window holds what was sent and not acked, in the order of seq. It is not safe for
// concurrent use; its zero value, with limits set, is ready.
type Window struct {
	// MaxOutcomes and MaxBytes may be unacked; an empty window takes one of any size.
	MaxOutcomes int
	MaxBytes    int

	bytes   int
	sent    uint64  // seq of the last one sent
	entries []Entry // the last of them has seq sent
}

// Len is the number of unacked outcomes.
func (w *Window) Len() int { return len(w.entries) }

// Fits reports whether an outcome of that size may be sent now.
func (w *Window) Fits(size int) bool {
	return len(w.entries) == 0 || len(w.entries) < w.MaxOutcomes && w.bytes+size <= w.MaxBytes
}

// Room is how many outcomes and bytes may be sent.
func (w *Window) Room() (outcomes, bytes int) {
	return w.MaxOutcomes - len(w.entries), max(w.MaxBytes-w.bytes, 0)
}

// Half reports whether half of the window is free, outcomes and bytes.
func (w *Window) Half() bool {
	return 2*len(w.entries) <= w.MaxOutcomes && 2*w.bytes <= w.MaxBytes
}

// Push takes an outcome and returns its seq; Fits must hold.
func (w *Window) Push(e Entry) (seq uint64) {
	w.entries = append(w.entries, e)
	w.bytes += e.Item.Size()
	w.sent++
	return w.sent
}

// Ack calls each for everything up to and including seq that is unacked, and lets go of
// it. What was acked before is no error.
func (w *Window) Ack(seq uint64, each func(Entry)) error {
	if seq > w.sent {
		return ErrAhead
	}
	n := len(w.entries) - int(min(w.sent-seq, uint64(len(w.entries))))
	for i := range n {
		w.bytes -= w.entries[i].Item.Size()
		each(w.entries[i])
	}
	w.shift(n)
	return nil
}

func (w *Window) shift(n int) {
	if n == len(w.entries) {
		// An idle connection keeps no buffer.
		w.entries = nil
		return
	}
	clear(w.entries[:n])
	w.entries = w.entries[n:]
}

// Find returns the entry of that command id, or nil. It is good until the window changes.
func (w *Window) Find(id uuid.UUID) *Entry {
	for i := range w.entries {
		if w.entries[i].Item.ID == id {
			return &w.entries[i]
		}
	}
	return nil
}

// Oldest is when the oldest unacked outcome was sent; zero when there is none.
func (w *Window) Oldest() time.Time {
	if len(w.entries) == 0 {
		return time.Time{}
	}
	return w.entries[0].Sent
}

// OldestLive is the oldest entry that keeps a delivery waiting, or nil.
func (w *Window) OldestLive() *Entry {
	for i := range w.entries {
		if w.entries[i].Live {
			return &w.entries[i]
		}
	}
	return nil
}

// Clear empties the window and returns what was in it.
func (w *Window) Clear() []Entry {
	entries := w.entries
	w.entries, w.bytes = nil, 0
	return entries
}
