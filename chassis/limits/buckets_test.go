package limits

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTake(t *testing.T) {
	t.Parallel()
	b := New(10, 20, 100)
	now := time.Unix(1_000_000, 0)
	for i := range 20 {
		if after, ok := b.Take(now, "a", 1); !ok || after != 0 {
			t.Fatalf("token %d: %v", i, after)
		}
	}
	if after, ok := b.Take(now, "a", 1); ok || after != 100*time.Millisecond {
		t.Errorf("past the burst: %v, %v", after, ok)
	}
	if after, empty := b.Empty(now, "a"); !empty || after != 100*time.Millisecond {
		t.Errorf("empty: %v, %v", after, empty)
	}
	if _, ok := b.Take(now, "b", 20); !ok {
		t.Error("one empties another's bucket")
	}
	// What is refused costs nothing.
	for range 10 {
		b.Take(now, "a", 20)
	}
	later := now.Add(500 * time.Millisecond)
	if after, ok := b.Take(later, "a", 5); !ok {
		t.Errorf("half a second later: %v", after)
	}
	if after, ok := b.Take(later, "a", 5); ok || after != 500*time.Millisecond {
		t.Errorf("five more: %v, %v", after, ok)
	}
	// More than it holds costs all it holds, and is not refused for ever.
	if _, ok := b.Take(later, "c", 1000); !ok {
		t.Error("a thousand of a full bucket")
	}
	if _, ok := b.Take(later, "c", 1); ok {
		t.Error("they cost nothing")
	}
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	var none *Buckets
	for _, b := range []*Buckets{none, New(0, 1, 1)} {
		for range 1000 {
			if _, ok := b.Take(time.Now(), "a", 1000); !ok {
				t.Fatal("limited")
			}
		}
		if _, empty := b.Empty(time.Now(), "a"); empty {
			t.Error("empty")
		}
	}
}

func TestTheBucketsAreBounded(t *testing.T) {
	t.Parallel()
	b := New(1, 1, 50)
	now := time.Now()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 1000 {
				b.Take(now, fmt.Sprint(worker, i), 1)
			}
		})
	}
	all.Wait()
	if len(b.byName) != 50 || b.order.Len() != 50 {
		t.Errorf("%d and %d are kept", len(b.byName), b.order.Len())
	}
}
