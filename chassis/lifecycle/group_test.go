package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a group whose steps write down what happens to them.
type recorder struct {
	*lifecycle.Group
	said []string
}

func newRecorder() *recorder {
	return &recorder{Group: lifecycle.New(zap.NewNop(), time.Second)}
}

func (r *recorder) step(name string, startErr, stopErr error) {
	r.Add(name,
		func(context.Context) error { r.said = append(r.said, "start "+name); return startErr },
		func(context.Context) error { r.said = append(r.said, "stop "+name); return stopErr })
}

func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.said, want) {
		t.Fatalf("got %q, want %q", r.said, want)
	}
}

func TestRunStopsInReverse(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	r.step("a", nil, nil)
	r.Add("nothing to do", nil, nil)
	r.step("b", nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r.Add("last", func(context.Context) error { cancel(); return nil }, nil)
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "start a", "start b", "stop b", "stop a")
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "start a", "start b", "stop b", "stop a")
}

func TestHalfFinishedStartIsRolledBack(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	starting, stopping := errors.New("no port"), errors.New("stuck")
	r.step("a", nil, stopping)
	r.step("b", starting, nil)
	r.step("c", nil, nil)
	err := r.Run(t.Context())
	if !errors.Is(err, starting) || !errors.Is(err, stopping) {
		t.Fatalf("got %v, want both errors", err)
	}
	r.expect(t, "start a", "start b", "stop a")
}

func TestEveryStopRunsUnderOneDeadline(t *testing.T) {
	t.Parallel()
	g := lifecycle.New(zap.NewNop(), 20*time.Millisecond)
	stopped := 0
	for range 3 {
		g.Add("slow", nil, func(ctx context.Context) error {
			<-ctx.Done()
			stopped++
			return ctx.Err()
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	began := time.Now()
	if err := g.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want a deadline", err)
	}
	if stopped != 3 || time.Since(began) > 10*time.Second {
		t.Fatalf("%d of 3 stopped, after %s", stopped, time.Since(began))
	}
}

func TestFailEndsRun(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	r.step("a", nil, nil)
	died := errors.New("listener died")
	r.Fail(died)
	r.Fail(errors.New("a later one"))
	if err := r.Run(t.Context()); !errors.Is(err, died) {
		t.Fatalf("got %v, want %v", err, died)
	}
	r.expect(t, "start a", "stop a")
}

func TestEndedContextStartsNothing(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	r.step("a", nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want canceled", err)
	}
	r.expect(t)
}
