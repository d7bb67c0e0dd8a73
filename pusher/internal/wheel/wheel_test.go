package wheel

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// probe notes when it is fired, and asks for what next says.
type probe struct {
	Timer
	fired []time.Time
	next  time.Duration
}

func (p *probe) Fire(now time.Time) time.Time {
	p.fired = append(p.fired, now)
	if p.next == 0 {
		return time.Time{}
	}
	return now.Add(p.next)
}

// Whatever is set, cleared and set again, each timer fires once for its earliest time:
// never early, and at most two ticks late.
func TestEachTimerFiresOnceAndOnTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const tick = 10 * time.Millisecond
		w := New(tick)
		now := w.start
		due := map[*probe]time.Time{}
		probes := make([]*probe, 8)
		for i := range probes {
			probes[i] = &probe{}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			p := probes[rapid.IntRange(0, len(probes)-1).Draw(t, "probe")]
			switch rapid.SampledFrom([]string{"set", "set", "clear", "turn"}).Draw(t, "step") {
			case "set":
				// Up to three rounds ahead.
				at := now.Add(time.Duration(rapid.Int64Range(-5, 3*buckets*10).Draw(t, "ms")) * time.Millisecond)
				if was, set := due[p]; !set || at.Before(was) {
					due[p] = at
				}
				w.Set(&p.Timer, p, at)
			case "clear":
				delete(due, p)
				w.Clear(&p.Timer)
			case "turn":
				now = now.Add(time.Duration(rapid.Int64Range(0, 2*buckets*10).Draw(t, "ms")) * time.Millisecond)
				w.turn(now)
				for _, p := range probes {
					at, set := due[p]
					switch {
					case len(p.fired) > 1:
						t.Fatalf("fired %d times", len(p.fired))
					case len(p.fired) == 1 && !set:
						t.Fatalf("fired without being set")
					case len(p.fired) == 1 && now.Before(at):
						t.Fatalf("fired %s early", at.Sub(now))
					case len(p.fired) == 0 && set && now.Sub(at) > 2*tick:
						t.Fatalf("%s late", now.Sub(at))
					}
					if len(p.fired) == 1 {
						p.fired = nil
						delete(due, p)
					}
				}
			}
		}
	})
}

func TestTaskNamesItsNextTime(t *testing.T) {
	t.Parallel()
	w := New(time.Millisecond)
	p := &probe{next: 5 * time.Millisecond}
	w.Set(&p.Timer, p, w.start.Add(time.Millisecond))
	for i := range 101 {
		w.turn(w.start.Add(time.Duration(i) * time.Millisecond))
	}
	if len(p.fired) != 20 { // at 1, 6, 11, ... 96
		t.Fatalf("fired %d times, want 20", len(p.fired))
	}
}

type signal struct {
	Timer
	once sync.Once
	c    chan struct{}
}

func (s *signal) Fire(time.Time) time.Time {
	s.once.Do(func() { close(s.c) })
	return time.Time{}
}

func TestRunningWheelFires(t *testing.T) {
	t.Parallel()
	w := New(time.Millisecond)
	if err := w.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	s := &signal{c: make(chan struct{})}
	w.Set(&s.Timer, s, time.Now().Add(3*time.Millisecond))
	<-s.c
	if err := w.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A connection's life on the wheel: set at its start, moved nearer once, cleared at its end.
func BenchmarkSetAndClear(b *testing.B) {
	w := New(100 * time.Millisecond)
	now := time.Now()
	p := &probe{}
	b.ReportAllocs()
	for b.Loop() {
		w.Set(&p.Timer, p, now.Add(25*time.Second))
		w.Set(&p.Timer, p, now.Add(5*time.Second))
		w.Clear(&p.Timer)
	}
}
