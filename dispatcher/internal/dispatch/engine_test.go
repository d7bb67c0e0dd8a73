package dispatch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

func TestAnswerGetsTheClientsOwnID(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := command(t, `{"jsonrpc":"2.0","id":"c-\u0034\u0032","method":"relay.set"}`)
	r.device.execute = func(_ context.Context, call *Call) (jsonrpc.Response, error) {
		if want := `{"jsonrpc":"2.0","id":"` + c.ID.String() + `","method":"relay.set"}`; string(call.Request) != want {
			t.Errorf("the device got %s, want %s", call.Request, want)
		}
		return call.Answer([]byte("{\"jsonrpc\":\"2.0\",\n \"result\":{\"x\":\t1.50},\r\n\"id\":\"" + call.ID + "\"}"))
	}
	got := r.run(t, c).Outcome
	if got == nil || string(got.Body) != "{\"jsonrpc\":\"2.0\",  \"result\":{\"x\":\t1.50},  \"id\":\"c-\\u0034\\u0032\"}" {
		t.Fatalf("outcome %+v", got)
	}
	if got.Origin != envelope.OriginDevice || got.CommandID != c.ID || got.Client != "app" || got.Method != "relay.set" {
		t.Errorf("outcome %+v", got)
	}
}

// TestWhatIsNoAnswer has every way in which a command ends without one, with the reason,
// whether it was claimed, and whether the driver was asked.
func TestWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	fails := func(f *Failure) func(*rig) {
		return func(r *rig) {
			r.device.execute = func(context.Context, *Call) (jsonrpc.Response, error) { return jsonrpc.Response{}, f }
		}
	}
	answers := func(body string) func(*rig) {
		return func(r *rig) {
			r.device.execute = func(_ context.Context, c *Call) (jsonrpc.Response, error) {
				return c.Answer([]byte(strings.ReplaceAll(body, "ID", c.ID)))
			}
		}
	}
	for name, test := range map[string]struct {
		set      func(*rig)
		change   func(*envelope.Command)
		reason   outcome.Reason
		claimed  bool
		executed bool
	}{
		"no such driver": {change: func(c *envelope.Command) { c.Driver = "carrier-pigeon" }, reason: outcome.Undeliverable},
		"device deleted": {set: func(r *rig) { r.device.missing = true }, reason: outcome.Undeliverable},
		"bad address":    {set: func(r *rig) { r.device.check = errors.New("no address") }, reason: outcome.Undeliverable},
		"expired": {change: func(c *envelope.Command) { c.Deadline = c.Accepted.Add(-time.Millisecond) },
			reason: outcome.Expired, claimed: true},
		"device full": {set: func(r *rig) { r.engine.limits.devices[Address{"acme", "lamp-1"}] = 4 },
			reason: outcome.DeviceBusy, claimed: true},
		"tenant full": {set: func(r *rig) { r.engine.shares.tenants["acme"] = &share{taken: 4} }, reason: outcome.DeviceBusy, claimed: true},
		"offline": {set: fails(&Failure{Reason: outcome.DeviceOffline}), reason: outcome.DeviceOffline,
			claimed: true, executed: true},
		"no answer": {set: fails(&Failure{Reason: outcome.NoAnswer}), reason: outcome.NoAnswer, claimed: true, executed: true},
		"garbage":   {set: answers(`<html>`), reason: outcome.BadAnswer, claimed: true, executed: true},
		"no response": {set: answers(`{"jsonrpc":"2.0","id":"ID"}`), reason: outcome.BadAnswer,
			claimed: true, executed: true},
		"another's id": {set: answers(`{"jsonrpc":"2.0","id":"x","result":1}`), reason: outcome.BadAnswer,
			claimed: true, executed: true},
		"too long": {set: answers(`{"jsonrpc":"2.0","id":"ID","result":"` + strings.Repeat("x", 1<<10) + `"}`),
			reason: outcome.BadAnswer, claimed: true, executed: true},
		"any other error": {set: func(r *rig) {
			r.device.execute = func(context.Context, *Call) (jsonrpc.Response, error) {
				return jsonrpc.Response{}, errors.New("?")
			}
		}, reason: outcome.NoAnswer, claimed: true, executed: true},
		"the ledger refuses it": {set: func(r *rig) {
			r.book.fail = func(string) (error, bool) { return ErrUnrecordable, false }
		}, reason: outcome.Unrecordable, claimed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if test.set != nil {
				test.set(r)
			}
			if test.change == nil {
				test.change = func(*envelope.Command) {}
			}
			v := r.run(t, command(t, "", test.change))
			if v.Letter == nil || v.Outcome != nil || v.Letter.Reason != test.reason {
				t.Fatalf("verdict %+v, want a letter with %s", v, test.reason)
			}
			if claimed := v.Letter.Claim != uuid.Nil; claimed != test.claimed {
				t.Errorf("letter carries a claim: %t, want %t", claimed, test.claimed)
			}
			if executed := r.device.times() > 0; executed != test.executed {
				t.Errorf("driver was asked: %t, want %t", executed, test.executed)
			}
			if len(r.engine.slots) != 0 {
				t.Error("a slot is still taken")
			}
		})
	}
}

func TestRepeatedPosts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second := command(t, ""), command(t, "")
	told := r.run(t, first).Outcome
	again := r.run(t, second).Outcome
	if again == nil || string(again.Body) != string(told.Body) || again.CommandID != second.ID {
		t.Errorf("the second post was told %+v, want the first's body under its own command id", again)
	}
	redelivered := r.run(t, first).Outcome
	if redelivered == nil || redelivered.CommandID != first.ID || !redelivered.At.Equal(told.At) {
		t.Errorf("the redelivery was told %+v, want %+v", redelivered, told)
	}
	elsewhere := r.run(t, command(t, "", func(c *envelope.Command) { c.Device = "lamp-2" })).Letter
	if elsewhere == nil || elsewhere.Reason != outcome.DuplicateID || elsewhere.FirstCommandID != first.ID.String() ||
		elsewhere.FirstState != StateDecided || elsewhere.Claim != uuid.Nil {
		t.Errorf("the same id for another device came to %+v", elsewhere)
	}
	if r.device.times() != 1 {
		t.Errorf("executed %d times, want once", r.device.times())
	}
	r.book.rows[rowKey(first)].Decided = nil
	if v := r.run(t, command(t, "")); v.Outcome != nil || v.Letter != nil {
		t.Errorf("a repeated post of an open command came to %+v, want nothing", v)
	}
}

func TestClaimWhoseAnswerIsLostGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		lost := map[string]bool{}
		r.book.fail = func(call string) (error, bool) {
			first := !lost[call]
			lost[call] = true
			if first {
				return errAway, true
			}
			return nil, false
		}
		v := r.run(t, command(t, ""))
		if v.Outcome == nil || r.device.times() != 1 || r.book.claims != 1 || r.book.late != 0 {
			t.Errorf("came to %+v after %d executions, %d claims, %d late answers", v, r.device.times(), r.book.claims, r.book.late)
		}
	})
}

func TestClaimsAndDecisionsWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"claim", "decide"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				back := time.Now().Add(3 * time.Minute)
				r.book.fail = func(at string) (error, bool) {
					if at == call && time.Now().Before(back) {
						return errAway, false
					}
					return nil, false
				}
				c := command(t, "", func(c *envelope.Command) { c.Deadline = c.Deadline.Add(time.Hour) })
				v := r.run(t, c)
				if v.Outcome == nil || time.Now().Before(back) || r.device.times() != 1 {
					t.Errorf("came to %+v at %s, %d executions", v, time.Now(), r.device.times())
				}
			})
		})
	}
}

// another leaves the command's row as a worker that died would.
func (r *rig) another(c *Command) {
	r.book.rows[rowKey(c)] = &Row{CommandID: c.ID, Digest: c.Digest, Token: uuid.New(), Started: time.Now(), Timeout: c.Timeout}
}

func TestLostWorker(t *testing.T) {
	t.Parallel()
	for _, idempotent := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			c := command(t, "", func(c *envelope.Command) { c.Idempotent = idempotent })
			r.another(c)
			began := time.Now()
			v := r.run(t, c)
			if held := time.Since(began); held != c.Timeout+Grace {
				t.Errorf("held for %s, want %s", held, c.Timeout+Grace)
			}
			switch {
			case idempotent && (v.Outcome == nil || r.device.times() != 1):
				t.Errorf("idempotent: %+v after %d executions, want its outcome after one", v, r.device.times())
			case !idempotent && (v.Letter == nil || v.Letter.Reason != outcome.WorkerLost || v.Letter.Claim != uuid.Nil || r.device.times() != 0):
				t.Errorf("not idempotent: %+v after %d executions, want worker_lost after none", v.Letter, r.device.times())
			}
		})
	}
}

func TestHeldCommandIsToldWhatWasDecidedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		c := command(t, "")
		r.another(c)
		time.AfterFunc(time.Second, func() {
			if _, err := r.book.Decide(t.Context(), c, uuid.Nil, []byte("theirs")); err != nil {
				t.Error(err)
			}
		})
		if v := r.run(t, c); v.Outcome == nil || string(v.Outcome.Body) != "theirs" || r.device.times() != 0 {
			t.Errorf("came to %+v after %d executions", v, r.device.times())
		}
	})
}

func TestRunningAgainNeverClaimsThatNothingRan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.device.execute = func(context.Context, *Call) (jsonrpc.Response, error) {
			return jsonrpc.Response{}, &Failure{Reason: outcome.DeviceOffline}
		}
		c := command(t, "", func(c *envelope.Command) { c.Idempotent = true })
		r.another(c)
		v := r.run(t, c)
		if v.Letter == nil || v.Letter.Reason != outcome.WorkerLost || v.Letter.Claim == uuid.Nil {
			t.Errorf("came to %+v, want worker_lost under the new claim: the first worker may have run it", v.Letter)
		}
	})
}

func TestHeldCommandTakesNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Concurrency = 1 })
		held := command(t, "")
		r.another(held)
		done := make(chan Verdict)
		go func() { done <- r.run(t, held) }()
		synctest.Wait()
		if r.engine.Held() != 1 || len(r.engine.HeldChanged()) != 1 {
			t.Fatalf("%d held, want 1 and a sign of it", r.engine.Held())
		}
		if v := r.run(t, command(t, `{"jsonrpc":"2.0","id":2,"method":"m"}`)); v.Outcome == nil {
			t.Errorf("the other command came to %+v", v)
		}
		<-done
		if r.engine.Held() != 0 {
			t.Errorf("%d still held", r.engine.Held())
		}
	})
}

func TestLateAnswerIsToldWhatStands(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := command(t, "")
	r.device.execute = func(_ context.Context, call *Call) (jsonrpc.Response, error) {
		r.book.rows[rowKey(c)].Decided = &Decided{Origin: envelope.OriginPlatform, Reason: outcome.WorkerLost, Body: []byte("lost")}
		return call.Answer([]byte(`{"jsonrpc":"2.0","id":"` + call.ID + `","result":1}`))
	}
	v := r.run(t, c)
	if v.Outcome == nil || v.Outcome.Reason != outcome.WorkerLost || string(v.Outcome.Body) != "lost" || r.book.late != 1 {
		t.Errorf("came to %+v, %d late answers", v.Outcome, r.book.late)
	}
}
