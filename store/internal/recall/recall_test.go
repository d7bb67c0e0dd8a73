package recall_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/internal/recall"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAbsent = errors.New("absent")

// source is a database of numbers that counts how often it is asked.
type source struct {
	mu     sync.Mutex
	values map[string]int
	away   bool
	asked  atomic.Int64
	// entered receives, and gate is waited for, when they are not nil.
	entered chan struct{}
	gate    chan struct{}
}

func (s *source) load(ctx context.Context, key string) (int, error) {
	s.asked.Add(1)
	s.mu.Lock()
	value, ok := s.values[key]
	away := s.away
	s.mu.Unlock()
	if s.entered != nil {
		s.entered <- struct{}{}
		select {
		case <-s.gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	switch {
	case away:
		return 0, store.ErrUnavailable
	case !ok:
		return 0, errAbsent
	}
	return value, nil
}

func (s *source) set(key string, value int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
}

func (s *source) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func memory(s *source, size int) *recall.Memory[string, int] {
	return recall.New(recall.Config[string, int]{
		Load: s.load, Absent: errAbsent, Size: size, Negative: time.Hour, LoadTimeout: time.Minute,
	})
}

func want(t *testing.T, m *recall.Memory[string, int], key string, value int, asked *source, times int64) {
	t.Helper()
	if got, err := m.Get(t.Context(), key); err != nil || got != value {
		t.Errorf("%s: %d, %v, want %d", key, got, err, value)
	}
	if n := asked.asked.Load(); n != times {
		t.Errorf("the source was asked %d times, want %d", n, times)
	}
}

func TestFreshUntilToldOtherwise(t *testing.T) {
	t.Parallel()
	s := &source{values: map[string]int{"a": 1}}
	m := memory(s, 10)
	want(t, m, "a", 1, s, 1)
	want(t, m, "a", 1, s, 2) // nobody tells of changes yet
	m.Connected()
	want(t, m, "a", 1, s, 3)
	s.set("a", 2)
	want(t, m, "a", 1, s, 3)
	m.Drop("a")
	want(t, m, "a", 2, s, 4)
	s.set("a", 3)
	m.Disconnected()
	want(t, m, "a", 3, s, 5)
	m.Connected()
	want(t, m, "a", 3, s, 6) // something may have been missed
	want(t, m, "a", 3, s, 6)
}

func TestAbsenceIsRememberedApart(t *testing.T) {
	t.Parallel()
	s := &source{values: map[string]int{"a": 1}}
	m := memory(s, 2)
	m.Connected()
	want(t, m, "a", 1, s, 1)
	for _, key := range []string{"x", "y", "z", "z"} {
		if _, err := m.Get(t.Context(), key); !errors.Is(err, errAbsent) {
			t.Errorf("%s: %v", key, err)
		}
	}
	want(t, m, "a", 1, s, 4) // x, y and z were asked for, a was not pushed out
	s.set("z", 26)
	m.Drop("z")
	want(t, m, "z", 26, s, 5)
}

func TestTheLongestUnusedGoes(t *testing.T) {
	t.Parallel()
	s := &source{values: map[string]int{"a": 1, "b": 2, "c": 3}}
	m := memory(s, 2)
	m.Connected()
	want(t, m, "a", 1, s, 1)
	want(t, m, "b", 2, s, 2)
	want(t, m, "a", 1, s, 2)
	want(t, m, "c", 3, s, 3)
	want(t, m, "a", 1, s, 3)
	want(t, m, "b", 2, s, 4)
}

func TestServedAsItWasWhileAway(t *testing.T) {
	t.Parallel()
	s := &source{values: map[string]int{"a": 1}}
	m := memory(s, 2)
	m.Connected()
	want(t, m, "a", 1, s, 1)
	m.Disconnected()
	s.setAway(true)
	want(t, m, "a", 1, s, 2) // tried
	want(t, m, "a", 1, s, 2) // not tried again so soon
	if _, err := m.Get(t.Context(), "b"); !errors.Is(err, store.ErrUnavailable) || s.asked.Load() != 2 {
		t.Errorf("what is not in memory: %v, asked %d times", err, s.asked.Load())
	}
	s.setAway(false)
	s.set("a", 2)
	m.Connected()
	want(t, m, "a", 2, s, 3)
}

// What may have changed unheard for too long is not served any more; what is still told of is.
func TestNotServedForEver(t *testing.T) {
	t.Parallel()
	s := &source{values: map[string]int{"a": 1}}
	m := recall.New(recall.Config[string, int]{Load: s.load, Absent: errAbsent, Size: 10, Negative: time.Hour, LoadTimeout: time.Minute, Keep: time.Nanosecond})
	m.Connected()
	want(t, m, "a", 1, s, 1)
	s.setAway(true)
	want(t, m, "a", 1, s, 1)
	m.Disconnected()
	if _, err := m.Get(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("it is still served: %v", err)
	}
	s.setAway(false)
	m.Connected()
	want(t, m, "a", 1, s, 3)
}

func TestOneLoadForAllWhoAsk(t *testing.T) {
	t.Parallel()
	s := &source{values: map[string]int{"a": 1}, entered: make(chan struct{}, 9), gate: make(chan struct{})}
	m := memory(s, 2)
	m.Connected()
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			if got, err := m.Get(t.Context(), "a"); err != nil || got != 1 {
				t.Error(got, err)
			}
		})
	}
	<-s.entered
	close(s.gate)
	askers.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A change that comes while the old value is being loaded must not leave it in memory, nor
// reach whoever asks after it.
func TestDropDuringLoad(t *testing.T) {
	t.Parallel()
	s := &source{values: map[string]int{"a": 1}, entered: make(chan struct{}, 9), gate: make(chan struct{})}
	m := memory(s, 2)
	m.Connected()
	var askers sync.WaitGroup
	askers.Go(func() { _, _ = m.Get(t.Context(), "a") })
	<-s.entered
	s.set("a", 2)
	m.Drop("a")
	askers.Go(func() {
		if got, err := m.Get(t.Context(), "a"); err != nil || got != 2 {
			t.Errorf("asked after the change: %d, %v", got, err)
		}
	})
	<-s.entered
	close(s.gate)
	askers.Wait()
	want(t, m, "a", 2, s, 2)
}

func TestALeaderThatGivesUpLeavesTheOthersTheirTurn(t *testing.T) {
	t.Parallel()
	s := &source{values: map[string]int{"a": 1}, entered: make(chan struct{}, 9), gate: make(chan struct{})}
	m := memory(s, 2)
	m.Connected()
	ctx, cancel := context.WithCancel(t.Context())
	var askers sync.WaitGroup
	askers.Go(func() {
		if _, err := m.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("the leader: %v", err)
		}
	})
	<-s.entered
	askers.Go(func() {
		if got, err := m.Get(t.Context(), "a"); err != nil || got != 1 {
			t.Errorf("the follower: %d, %v", got, err)
		}
	})
	cancel()
	<-s.entered // the follower leads
	close(s.gate)
	askers.Wait()
}

func BenchmarkHit(b *testing.B) {
	s := &source{values: map[string]int{"a": 1}}
	m := memory(s, 2)
	m.Connected()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := m.Get(b.Context(), "a"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
