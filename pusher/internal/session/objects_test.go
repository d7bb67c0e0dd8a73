package session

import (
	"testing"

	"github.com/google/uuid"
)

// The budget of objects for an outcome that is offered to a session, sent, and acked with 31 others. It is what it takes now: one
// more is to be meant.
func TestObjectsOfAnOutcome(t *testing.T) {
	const budget = 1
	w := newWorld()
	w.cfg.Limits.Window = 64
	w.open()
	w.line.onSend = nil
	w.session.out = devNull{}
	p, outcome := &parcel{}, liveItem(&parcel{id: uuid.New()}, 200).Outcome
	seq := uint64(0)
	got := testing.AllocsPerRun(640, func() {
		id := uuid.UUID{0: byte(seq), 1: byte(seq >> 8), 2: byte(seq >> 16)}
		p.verdicts = p.verdicts[:0]
		w.session.Offer(w.now, &Item{ID: id, live: p, Outcome: outcome})
		if seq++; seq%32 == 0 {
			w.ack(seq)
		}
	})
	t.Logf("%.0f objects", got)
	if got > budget {
		t.Errorf("an outcome takes %.0f objects, the budget is %d", got, budget)
	}
}
