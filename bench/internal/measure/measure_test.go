package measure

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/bench/internal/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ending is over as soon as its window has begun.
type ending struct{ *counted }

func (e ending) Done() int64 {
	done := e.counted.Done()
	if done == 500 {
		close(e.over)
	}
	return done
}

// counted does a piece of work each time it is asked how much it did.
type counted struct {
	done    atomic.Int64
	over    chan struct{}
	stopped bool
	err     error
}

func (c *counted) Start(context.Context) error { return nil }
func (c *counted) Done() int64                 { return c.done.Add(500) }
func (c *counted) Over() <-chan struct{}       { return c.over }
func (c *counted) Stop(context.Context) error  { c.stopped = true; return c.err }

func self() []Account {
	return []Account{{Tree: usage.Tree{Name: "self", PID: os.Getpid()}, Role: Platform}}
}

func TestTake(t *testing.T) {
	t.Parallel()
	load := &counted{over: make(chan struct{})}
	r, err := Take(t.Context(), load, self(), Window{Warmup: time.Millisecond, Length: 50 * time.Millisecond, Drain: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Done != 500 || r.To.Sub(r.From) < 50*time.Millisecond || r.Rate() > 10_000 || r.Rate() <= 0 || !load.stopped {
		t.Errorf("%+v, %.0f/s, stopped %t", r, r.Rate(), load.stopped)
	}
	if len(r.Costs) != 1 || r.Costs[0].Memory == 0 {
		t.Errorf("costs %+v", r.Costs)
	}
}

// On a machine that stalls a short window may pass with nothing done: it goes on then, but not for ever.
func TestTakeGoesOn(t *testing.T) {
	t.Parallel()
	window := Window{Length: time.Millisecond, Least: 1200, Drain: time.Minute}
	if r, err := Take(t.Context(), &counted{over: make(chan struct{})}, self(), window); err != nil || r.Done < 1200 {
		t.Errorf("%+v, %v", r, err)
	}
	window.Least, window.Drain = 1<<40, 20*time.Millisecond
	if r, err := Take(t.Context(), &counted{over: make(chan struct{})}, self(), window); err != nil || r.Done == 0 {
		t.Errorf("with more to do than it can: %+v, %v", r, err)
	}
}

// A load that reaches its limit ends the window early; one that never got warm gives no reading.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	load := &counted{over: make(chan struct{})}
	close(load.over)
	if _, err := Take(t.Context(), load, self(), Window{Warmup: time.Hour, Length: time.Hour, Drain: time.Second}); err == nil || !load.stopped {
		t.Errorf("a load that was over while warming up: %v, stopped %t", err, load.stopped)
	}
	late := ending{&counted{over: make(chan struct{})}}
	r, err := Take(t.Context(), late, self(), Window{Warmup: 0, Length: time.Hour, Drain: time.Second})
	if err != nil || r.Done != 500 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What the load says of itself wins: figures of a run that lost something are none.
func TestTakeBroken(t *testing.T) {
	t.Parallel()
	broken := errors.New("2 outcomes are missing")
	_, err := Take(t.Context(), &counted{over: make(chan struct{}), err: broken}, self(), Window{Length: time.Millisecond, Drain: time.Second})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	gone := []Account{{Tree: usage.Tree{Name: "gone", PID: 1 << 30}}}
	load := &counted{over: make(chan struct{})}
	if _, err := Take(t.Context(), load, gone, Window{Length: time.Millisecond, Drain: time.Second}); err == nil || !load.stopped {
		t.Errorf("a process that is gone was charged: %v, stopped %t", err, load.stopped)
	}
}

func TestPerThousand(t *testing.T) {
	t.Parallel()
	r := Reading{Done: 4000, Costs: []Cost{
		{Name: "broker", Role: Platform, CPU: time.Second}, {Name: "api", Role: Platform, CPU: 2 * time.Second},
		{Name: "bench", Role: Driving, CPU: time.Minute},
	}}
	if all, one := r.PerThousand(Platform, ""), r.PerThousand(Platform, "api"); all != 0.75 || one != 0.5 {
		t.Errorf("all %g, api %g", all, one)
	}
	if none := (Reading{}).PerThousand(Platform, ""); none != 0 {
		t.Errorf("nothing done costs %g", none)
	}
}

func TestSummarise(t *testing.T) {
	t.Parallel()
	durations := make([]time.Duration, 1000)
	for i := range durations {
		durations[i] = time.Duration(1000 - i)
	}
	want := Latency{Count: 1000, P50: 500, P90: 900, P99: 990, P999: 999, Max: 1000}
	if got := Summarise(durations); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := Summarise([]time.Duration{7}); got != (Latency{Count: 1, P50: 7, P90: 7, P99: 7, P999: 7, Max: 7}) {
		t.Errorf("of one: %+v", got)
	}
	if got := Summarise(nil); got != (Latency{}) {
		t.Errorf("of none: %+v", got)
	}
}
