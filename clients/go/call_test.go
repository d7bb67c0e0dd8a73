package cupline_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/clients/go/cuplinetest"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/push"
)

// online is a listener with its peer's connection.
func online(t *testing.T, p *cuplinetest.Platform) (*cupline.Listener, *cuplinetest.Socket, chan cupline.Outcome) {
	t.Helper()
	got, handle := keep(8)
	l := listen(t, p, cupline.ListenConfig{Handle: handle})
	s := p.Next()
	s.Greet("s-1")
	if err := l.WaitOnline(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, s, got
}

type called struct {
	outcome cupline.Outcome
	err     error
}

func call(ctx context.Context, l *cupline.Listener, opts cupline.SendOptions) chan called {
	done := make(chan called, 1)
	go func() {
		o, err := l.Call(ctx, "lamp-1", "echo", map[string]int{"n": 1}, opts)
		done <- called{o, err}
	}()
	return done
}

func TestCallIsAnsweredByItsCommandIDAlone(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	posted := make(chan struct{})
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) { cuplinetest.Accept("cmd-1")(w, r); close(posted) })
	l, s, got := online(t, p)
	done := call(t.Context(), l, cupline.SendOptions{ID: "mine"})
	receive(t, "the post", posted)
	s.Send(outcomeFrame(1, `"other"`, "cmd-0"))
	if o := receive(t, "the other outcome", got); o.CommandID != "cmd-0" {
		t.Errorf("the handler got %s", o.CommandID)
	}
	s.Send(outcomeFrame(2, `"mine"`, "cmd-1"))
	c := receive(t, "the call", done)
	if c.err != nil || c.outcome.CommandID != "cmd-1" {
		t.Errorf("the call got %+v, %v", c.outcome, c.err)
	}
	for last := uint64(0); last < 2; {
		last = s.Read().Seq
	}
	if len(got) != 0 {
		t.Error("the handler got the call's outcome as well")
	}
}

func TestOutcomeMayComeBeforeThe202(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]bool{"the 202 comes late": false, "the 202 is lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := cuplinetest.New(t)
			posted, answer := make(chan string, 1), make(chan struct{})
			p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				var request struct{ ID json.RawMessage }
				_ = json.Unmarshal(body, &request)
				posted <- string(request.ID)
				<-answer
				if lose {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(http.StatusAccepted)
				_, _ = w.Write([]byte(`{"id":"x","command_id":"cmd-1","expires_at":"2030-01-01T00:00:00Z"}`))
			})
			l, s, _ := online(t, p)
			done := call(t.Context(), l, cupline.SendOptions{})
			id := receive(t, "the post", posted)
			s.Send(outcomeFrame(1, id, "cmd-1"))
			if f := s.Read(); f.Type != push.TypeAck {
				t.Fatalf("got %+v", f)
			}
			close(answer)
			if c := receive(t, "the call", done); c.err != nil || c.outcome.CommandID != "cmd-1" {
				t.Errorf("the call got %+v, %v", c.outcome, c.err)
			}
		})
	}
}

// A repeated post is answered under the first post's command id while that is open, but a
// duplicate_id of another post is not ours.
func TestRepeatedPostIsAnsweredByTheFirst(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	posted := make(chan struct{})
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) { cuplinetest.Accept("cmd-2")(w, r); close(posted) })
	l, s, got := online(t, p)
	pending, err := l.Begin(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{ID: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	foreign := push.Outcome{
		Seq: 1, ID: []byte(`"mine"`), CommandID: "cmd-9", Device: "lamp-1", Method: "echo", Origin: "platform",
		Source: push.SourceLive,
		Response: outcome.Failure{
			Reason: outcome.DuplicateID, Executed: outcome.No, CommandID: "cmd-9", Device: "lamp-1",
		}.Response([]byte(`"mine"`)),
	}
	s.Send(string(foreign.Append(nil)))
	if o := receive(t, "the duplicate_id", got); o.CommandID != "cmd-9" {
		t.Errorf("the handler got %s", o.CommandID)
	}
	s.Send(outcomeFrame(2, `"mine"`, "cmd-1"))
	if o, err := pending.Wait(t.Context()); err != nil || o.CommandID != "cmd-1" {
		t.Errorf("the call got %+v, %v", o, err)
	}
}

func TestLateOutcomeOfACallGoesToTheHandler(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	l, s, got := online(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pending, err := l.Begin(ctx, "lamp-1", "echo", nil, cupline.SendOptions{ID: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := pending.Wait(ctx); !errors.Is(err, context.Canceled) || pending.Accepted.CommandID != "cmd-1" {
		t.Errorf("Wait says %v of %+v", err, pending.Accepted)
	}
	pending.Forget()
	s.Send(outcomeFrame(1, `"mine"`, "cmd-1"))
	if o := receive(t, "the late outcome", got); o.CommandID != "cmd-1" {
		t.Errorf("the handler got %s", o.CommandID)
	}
}

func TestWaitMayBeCalledAgain(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	l, s, got := online(t, p)
	pending, err := l.Begin(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{ID: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	defer pending.Forget()
	over, end := context.WithCancel(t.Context())
	end()
	if _, err := pending.Wait(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait says %v", err)
	}
	s.Send(outcomeFrame(1, `"mine"`, "cmd-1"), outcomeFrame(2, `"mine"`, "cmd-1"))
	for range 2 {
		if o, err := pending.Wait(t.Context()); err != nil || o.CommandID != "cmd-1" {
			t.Errorf("Wait says %+v, %v", o, err)
		}
	}
	for last := uint64(0); last < 2; {
		last = s.Read().Seq
	}
	if len(got) != 0 {
		t.Error("the handler got the call's outcome as well")
	}
}

// A Call is answered the moment its outcome is read, before it is acked; closing right then
// must not leave it unacked, to come again.
func TestAnsweredCallIsAckedThoughTheListenerCloses(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	l := listen(t, p, cupline.ListenConfig{Handle: func(ctx context.Context, _ cupline.Outcome) error {
		<-ctx.Done() // keeps the Call's outcome waiting behind it until the listener closes
		return nil
	}})
	s := p.Next()
	s.Greet("s-1")
	pending, err := l.Begin(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{ID: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	defer pending.Forget()
	s.Send(outcomeFrame(1, `"other"`, "cmd-0"), outcomeFrame(2, `"mine"`, "cmd-1"), outcomeFrame(3, `"another"`, "cmd-2"))
	if _, err := pending.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	acked := uint64(0)
	for f, err := s.TryRead(); err == nil; f, err = s.TryRead() {
		acked = f.Seq
	}
	if acked != 2 {
		t.Errorf("acked up to %d: 2 is the Call's, and 3 nobody took", acked)
	}
	if err := receive(t, "Close", closed); err != nil {
		t.Fatal(err)
	}
}

func TestCallEndsWithItsListener(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	l, s, _ := online(t, p)
	pending, err := l.Begin(t.Context(), "lamp-1", "echo", nil, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close(push.Revoked)
	if _, err := pending.Wait(t.Context()); err == nil {
		t.Error("Wait returned an outcome")
	}
}

func TestResultTellsDeviceErrorsFromPlatformErrors(t *testing.T) {
	t.Parallel()
	device := cupline.Outcome{Origin: "device", Response: []byte(`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}`)}
	var of *cupline.DeviceError
	if _, err := device.Result(); !errors.As(err, &of) || of.Code != -32601 {
		t.Errorf("a device's error reads as %v", err)
	}
	failure := outcome.Failure{Reason: outcome.NoAnswer, Executed: outcome.Maybe, CommandID: "c", Device: "lamp-1", Detail: "5s"}
	var told *cupline.PlatformError
	_, err := cupline.Outcome{Origin: "platform", Response: failure.Response([]byte("1"))}.Result()
	if !errors.As(err, &told) || told.Reason != outcome.NoAnswer || told.Executed != outcome.Maybe || told.Code != -32012 || told.Detail != "5s" {
		t.Errorf("a platform's error reads as %+v", told)
	}
	_, err = cupline.Outcome{Origin: "platform", Response: []byte(`{"error":{"code":1,"message":"m"}}`)}.Result()
	if !errors.As(err, &told) || told.Executed != outcome.Maybe {
		t.Errorf("an error without data reads as %v", err)
	}
	if _, err := (cupline.Outcome{Response: []byte("{")}).Result(); err == nil {
		t.Error("a broken response was read")
	}
	result, err := cupline.Outcome{At: time.Now(), Origin: "device", Response: []byte(`{"result":[1, 2]}`)}.Result()
	if err != nil || string(result) != "[1, 2]" {
		t.Errorf("result is %s, %v", result, err)
	}
}
