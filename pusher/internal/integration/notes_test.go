package integration

import (
	"testing"
	"time"

	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
)

// While acks cannot be noted but the mailbox can be read, a client that acks as fast as it
// gets is not given the same outcomes over and over.
func TestAcksThatCannotBeNotedBringNothingAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Window = 4 })
	token := b.key(t, "web")
	const stored = 40 // ten windows: more than a session remembers
	b.publish(t, "web", ids(stored)...)
	b.eventuallyWaiting(t, "web", stored)
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Reads go on, writes wait.
	if _, err := tx.Exec(t.Context(), "lock table mailbox in share mode"); err != nil {
		t.Fatal(err)
	}
	c := p.connect(t, token, push.ClientFrame{Window: 4})
	seen := map[string]int{}
	take := func(until <-chan time.Time) {
		for {
			select {
			case f := <-c.frames:
				if f.Type == "outcome" {
					seen[f.CommandID]++
					c.ack(t, f.Seq)
				}
			case <-until:
				return
			}
			if len(seen) == stored {
				return
			}
		}
	}
	take(time.After(2 * time.Second)) // nothing signals that something does not happen
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	take(time.After(patience))
	b.eventuallyWaiting(t, "web", 0)
	if len(seen) != stored {
		t.Errorf("%d outcomes of %d came", len(seen), stored)
	}
	for id, copies := range seen {
		if copies > 1 {
			t.Errorf("%s came %d times", id, copies)
		}
	}
}
