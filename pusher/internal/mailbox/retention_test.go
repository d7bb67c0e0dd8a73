package mailbox

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
)

type pruned struct{ acked, waiting time.Time }

// pruner answers each call as it is told.
type pruner struct {
	calls   chan pruned
	answers chan func() (acked, expired int64, err error)
}

func (p *pruner) Prune(ctx context.Context, acked, waiting time.Time, _ int) (int64, int64, error) {
	p.calls <- pruned{acked, waiting}
	select {
	case answer := <-p.answers:
		return answer()
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
}

// It goes on while there is more to delete, and after failures.
func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	store := &pruner{calls: make(chan pruned), answers: make(chan func() (int64, int64, error))}
	expired := make(chan int64, 10)
	r := NewRetention(RetentionConfig{
		Every: time.Millisecond, Limit: 10, Acked: time.Hour, Waiting: 24 * time.Hour, Store: store,
		Now: func() time.Time { return now }, Expired: func(n int64) { expired <- n }, Log: zap.NewNop(),
	})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := pruned{now.Add(-time.Hour), now.Add(-24 * time.Hour)}
	for _, answer := range []func() (int64, int64, error){
		func() (int64, int64, error) { return 10, 3, nil },
		func() (int64, int64, error) { return 2, 0, nil },
		func() (int64, int64, error) { return 0, 0, errors.New("away") },
		func() (int64, int64, error) { return 0, 10, nil },
	} {
		if got := <-store.calls; got != want {
			t.Fatalf("pruned %v, want %v", got, want)
		}
		store.answers <- answer
	}
	if a, b := <-expired, <-expired; a != 3 || b != 10 {
		t.Fatalf("expired %d and %d", a, b)
	}
	<-store.calls // under way
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}
