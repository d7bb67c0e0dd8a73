package limits

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

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
	if _, ok := (Commands{}).Take(time.Now(), "t", "c", "d", 1); !ok {
		t.Error("no limits limit")
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

func TestClientAndDeviceAreLimitedApart(t *testing.T) {
	t.Parallel()
	c := Commands{Clients: New(1, 10, 10), Devices: New(1, 4, 10)}
	now := time.Now()
	for device, want := range map[string]bool{"lamp-1": true, "lamp-2": true} {
		if _, ok := c.Take(now, "acme", "web", device, 4); ok != want {
			t.Errorf("%s: %v", device, ok)
		}
	}
	if _, ok := c.Take(now, "acme", "app", "lamp-1", 1); ok {
		t.Error("the device has no more room, whoever sends")
	}
	if _, ok := c.Take(now, "other", "web", "lamp-1", 1); !ok {
		t.Error("another tenant's device of the same name has")
	}
	if _, ok := c.Take(now, "acme", "web", "lamp-3", 4); ok {
		t.Error("the client has sent its ten")
	}
}
