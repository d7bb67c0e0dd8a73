package dispatch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

func TestOneWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := command(t, `{"jsonrpc":"2.0","method":"beep"}`)
	if v := r.run(t, c); v.Outcome != nil || v.Letter != nil {
		t.Errorf("came to %+v, want nothing to publish", v)
	}
	if row := r.book.rows["o:"+c.ID.String()]; row == nil || row.Decided == nil {
		t.Errorf("row %+v, want it decided under the command id", row)
	}
	if v := r.run(t, c); v.Outcome != nil || v.Letter != nil || r.device.times() != 1 {
		t.Errorf("the redelivery came to %+v after %d executions", v, r.device.times())
	}
}

func TestUnledgeredLaneAsksNoLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.book.fail = func(call string) (error, bool) {
		t.Errorf("the ledger was asked to %s", call)
		return errAway, false
	}
	unledgered := func(c *envelope.Command) { c.Unledgered = true }
	if v := r.run(t, command(t, "", unledgered)); v.Outcome == nil || v.Outcome.At.IsZero() {
		t.Errorf("came to %+v", v)
	}
	v := r.run(t, command(t, "", unledgered, func(c *envelope.Command) { c.Deadline = c.Accepted.Add(-time.Second) }))
	if v.Letter == nil || v.Letter.Reason != outcome.Expired || v.Letter.Claim != uuid.Nil {
		t.Errorf("the expired one came to %+v", v.Letter)
	}
}

// TestUnledgeredRedeliveryCannotKnow: the delivery before may have reached the device.
func TestUnledgeredRedeliveryCannotKnow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		redelivered  bool
		reason, want outcome.Reason
	}{
		{false, outcome.DeviceOffline, outcome.DeviceOffline},
		{true, outcome.DeviceOffline, outcome.WorkerLost},
		{true, outcome.DeviceBusy, outcome.WorkerLost},
		{true, outcome.NoAnswer, outcome.NoAnswer},
	} {
		r := newRig(t)
		r.device.execute = func(context.Context, *Call) (jsonrpc.Response, error) {
			return jsonrpc.Response{}, &Failure{Reason: test.reason}
		}
		c := command(t, "", func(c *envelope.Command) { c.Unledgered = true })
		c.Redelivered = test.redelivered
		if v := r.run(t, c); v.Letter == nil || v.Letter.Reason != test.want || v.Letter.Claim != uuid.Nil {
			t.Errorf("redelivered %t, %s: came to %+v, want %s", test.redelivered, test.reason, v.Letter, test.want)
		}
	}
}

// TestPausedWorkerSeesThatItIsLate stops the process, as SIGSTOP or a sleeping machine
// would, between the claim and the send: no timer has fired, but a clock has gone on.
func TestPausedWorkerSeesThatItIsLate(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]func(*rig){
		"database time": func(r *rig) { r.clock.leap(6 * time.Second) },
		"monotonic":     func(r *rig) { <-time.After(6 * time.Second); r.clock.leap(-6 * time.Second) },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.device.execute = func(_ context.Context, c *Call) (jsonrpc.Response, error) {
				if left := c.Left(); left <= 4*time.Second || left > 5*time.Second {
					t.Errorf("%s: before the pause %s of 5 s are left", name, left)
				}
				pause(r)
				if left := c.Left(); left > 0 {
					t.Errorf("%s: after the pause %s are left", name, left)
				}
				return jsonrpc.Response{}, TooLate()
			}
			if v := r.run(t, command(t, "")); v.Letter == nil || v.Letter.Reason != outcome.NoAnswer {
				t.Errorf("%s: came to %+v", name, v)
			}
		})
	}
}

func TestCallEndsAtItsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.device.execute = func(ctx context.Context, _ *Call) (jsonrpc.Response, error) {
			<-ctx.Done()
			return jsonrpc.Response{}, &Failure{Reason: outcome.NoAnswer}
		}
		began := time.Now()
		v := r.run(t, command(t, ""))
		if v.Letter == nil || v.Letter.Reason != outcome.NoAnswer || time.Since(began) != 5*time.Second {
			t.Errorf("came to %+v after %s", v.Letter, time.Since(began))
		}
	})
}

func TestWhatEndsWaiting(t *testing.T) {
	t.Parallel()
	cause := errors.New("stopping")
	for name, set := range map[string]func(*rig, *Command){
		"for a slot": func(r *rig, _ *Command) {
			for range cap(r.engine.slots) {
				r.engine.slots <- struct{}{}
			}
		},
		"for another worker": func(r *rig, c *Command) { r.another(c) },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			c := command(t, "")
			set(r, c)
			waiting, stop := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { stop(cause) })
			_, err := r.engine.Run(t.Context(), waiting, c)
			if !errors.Is(err, ErrNotStarted) || !errors.Is(err, cause) || r.device.times() != 0 {
				t.Errorf("%s: %v after %d executions", name, err, r.device.times())
			}
		})
	}
	t.Run("for the broker", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.gate.err = cause
		_, err := r.engine.Run(t.Context(), t.Context(), command(t, ""))
		if !errors.Is(err, ErrNotStarted) || r.book.claims != 0 {
			t.Errorf("%v after %d claims: nothing may be claimed while the broker takes nothing", err, r.book.claims)
		}
	})
}

func TestInterruptedCallDecidesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, stop := context.WithCancel(t.Context())
	r.device.execute = func(ctx context.Context, _ *Call) (jsonrpc.Response, error) {
		stop()
		<-ctx.Done()
		return jsonrpc.Response{}, &Failure{Reason: outcome.NoAnswer}
	}
	c := command(t, "")
	v, err := r.engine.Run(ctx, ctx, c)
	if !errors.Is(err, ErrInterrupted) || v.Letter != nil || r.book.rows[rowKey(c)].Decided != nil {
		t.Errorf("%v, %+v: an interrupted call must stay open", err, v)
	}
}

func TestLimitsAreGivenBack(t *testing.T) {
	t.Parallel()
	l := newLimits(2)
	a, b := Address{"t", "a"}, Address{"t", "b"}
	for _, at := range []Address{a, a, b} {
		if !l.take(at) {
			t.Fatalf("%v refused", at)
		}
	}
	if l.take(a) {
		t.Error("a third of the device")
	}
	l.free(b)
	l.free(a)
	l.free(a)
	if len(l.devices) != 0 {
		t.Errorf("left over: %v", l.devices)
	}
}

func TestIsIDHoweverEscaped(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		`"a-1"`: true, `"\u0061-1"`: true, `"a-2"`: false, `"A-1"`: false, `1`: false, `null`: false, ``: false, `{}`: false,
	} {
		if got := IsID([]byte(raw), "a-1"); got != want {
			t.Errorf("IsID(%s) is %t", raw, got)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	r := newRig(b)
	c := command(b, "", func(c *envelope.Command) { c.Unledgered = true })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.engine.Run(b.Context(), b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	m := command(b, "").Message(time.Now())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(&m); err != nil {
			b.Fatal(err)
		}
	}
}
