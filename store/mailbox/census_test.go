package mailbox_test

import (
	"testing"
	"time"

	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/mailbox"
)

func TestCensusOfAllMailboxes(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := mailbox.New(pool, mailbox.Limits{Outcomes: 3})
	if c, err := s.Census(t.Context()); err != nil || c != (mailbox.Census{}) {
		t.Fatalf("of nothing: %+v, %v", c, err)
	}
	first, second := items("app-1", 2), items("app-2", 4)
	put(t, s, first...)
	put(t, s, second...)
	if _, err := pool.Exec(t.Context(), `update mailbox set stored_at = now() - interval '1 hour' where command_id = $1`, first[1].CommandID); err != nil {
		t.Fatal(err)
	}
	c, err := s.Census(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Waiting != 5 || c.Bytes == 0 || c.Clients != 2 || c.Full != 1 || c.Missed != 1 || c.Oldest < time.Hour || c.Oldest > 2*time.Hour {
		t.Errorf("got %+v", c)
	}
	ack(t, s, first...)
	if c, err = s.Census(t.Context()); err != nil || c.Waiting != 3 || c.Clients != 1 || c.Oldest >= time.Hour {
		t.Errorf("after the ack: %+v, %v", c, err)
	}
}
