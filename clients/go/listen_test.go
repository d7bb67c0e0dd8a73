package cupline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/clients/go/cuplinetest"
	"github.com/cupline/cupline/schema/push"
)

// keep hands outcomes to a channel.
func keep(room int) (chan cupline.Outcome, func(context.Context, cupline.Outcome) error) {
	got := make(chan cupline.Outcome, room)
	return got, func(_ context.Context, o cupline.Outcome) error {
		got <- o
		return nil
	}
}

func TestListenerIntroducesItselfAndTellsWhatWelcomeSaid(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	_, handle := keep(1)
	l := listen(t, p, cupline.ListenConfig{Handle: handle, Window: 7})
	s := p.Next()
	if s.Authorization != "Bearer k" {
		t.Errorf("Authorization is %q", s.Authorization)
	}
	if hello := s.Greet("s-1"); hello.Window != 7 || hello.Session != "" {
		t.Errorf("hello asks for window %d and names session %q", hello.Window, hello.Session)
	}
	if err := l.WaitOnline(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := l.Status()
	if got.Session != "s-1" || got.Client != "web" || got.Waiting != 3 || got.Missed != 1 || got.State != cupline.Online {
		t.Errorf("status is %+v", got)
	}
}

func TestOutcomeIsAckedOnlyAfterItsHandlerReturned(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	entered, release := make(chan struct{}), make(chan struct{})
	listen(t, p, cupline.ListenConfig{Handle: func(_ context.Context, o cupline.Outcome) error {
		close(entered)
		<-release
		return nil
	}})
	s := p.Next()
	s.Greet("s-1")
	s.Send(outcomeFrame(1, `"a"`, "c-1"))
	receive(t, "the handler", entered)
	s.Send(cuplinetest.Frame(push.TypePing, struct{}{}))
	if f := s.Read(); f.Type != push.TypePong {
		t.Fatalf("with the handler at work the client sent %q, not pong", f.Type)
	}
	close(release)
	if f := s.Read(); f.Type != push.TypeAck || f.Seq != 1 {
		t.Fatalf("after the handler the client sent %+v", f)
	}
}

func TestAcksAreCumulative(t *testing.T) {
	t.Parallel()
	const n = 64
	p := cuplinetest.New(t)
	got, handle := keep(n)
	first := make(chan struct{})
	listen(t, p, cupline.ListenConfig{Handle: func(ctx context.Context, o cupline.Outcome) error {
		<-first
		return handle(ctx, o)
	}})
	s := p.Next()
	s.Greet("s-1")
	var lines []string
	for i := range n {
		lines = append(lines, outcomeFrame(uint64(i+1), fmt.Sprintf(`"%d"`, i), fmt.Sprintf("c-%d", i)))
	}
	s.Send(lines...)
	s.Send(cuplinetest.Frame(push.TypePing, struct{}{}))
	if f := s.Read(); f.Type != push.TypePong {
		t.Fatalf("got %+v before pong", f)
	}
	close(first)
	acks, last := 0, uint64(0)
	for last < n {
		f := s.Read()
		if f.Type != push.TypeAck || f.Seq <= last {
			t.Fatalf("ack %+v after %d", f, last)
		}
		acks, last = acks+1, f.Seq
	}
	if acks > 8 {
		t.Errorf("%d outcomes took %d acks", n, acks)
	}
	for i := range n {
		if o := <-got; string(o.ID) != fmt.Sprintf(`"%d"`, i) {
			t.Fatalf("outcome %d has id %s: out of order", i, o.ID)
		}
	}
}

func TestReconnectNamesTheSessionAndDropsWhatWasHandled(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	got, handle := keep(4)
	l := listen(t, p, cupline.ListenConfig{Handle: handle})
	s := p.Next()
	s.Greet("s-1")
	s.Send(outcomeFrame(1, `"a"`, "c-1"))
	receive(t, "the outcome", got)
	s.Read()
	s.Cut()

	s = p.Next()
	if hello := s.Greet("s-2"); hello.Session != "s-1" {
		t.Errorf("hello names session %q", hello.Session)
	}
	s.Send(outcomeFrame(1, `"a"`, "c-1"), outcomeFrame(2, `"b"`, "c-2"))
	if o := receive(t, "the next outcome", got); o.CommandID != "c-2" {
		t.Errorf("command %s was handed over again", o.CommandID)
	}
	for last := uint64(0); last < 2; {
		last = s.Read().Seq
	}
	until(t, l, "online in the new session", func(s cupline.Status) bool { return s.Session == "s-2" })
}

func TestFailedHandlerGetsItsOutcomeAgain(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	calls := make(chan string, 4)
	fail := errors.New("disk full")
	first := true
	l := listen(t, p, cupline.ListenConfig{Handle: func(_ context.Context, o cupline.Outcome) error {
		calls <- o.CommandID
		if first {
			first = false
			return fail
		}
		return nil
	}})
	s := p.Next()
	s.Greet("s-1")
	s.Send(outcomeFrame(1, `"a"`, "c-1"), outcomeFrame(2, `"b"`, "c-2"))
	receive(t, "the first try", calls)
	if f, err := s.TryRead(); err == nil {
		t.Fatalf("the client sent %+v after its handler failed", f)
	}
	s = p.Next()
	until(t, l, "recovering with the handler's error", func(s cupline.Status) bool {
		return s.State == cupline.Recovering && errors.Is(s.Err, fail)
	})
	s.Greet("s-2")
	s.Send(outcomeFrame(1, `"a"`, "c-1"), outcomeFrame(2, `"b"`, "c-2"))
	if a, b := receive(t, "the second try", calls), receive(t, "the next one", calls); a != "c-1" || b != "c-2" {
		t.Errorf("came again: %s, %s", a, b)
	}
}

func TestCloseCodesAreObeyed(t *testing.T) {
	t.Parallel()
	for code, again := range map[push.CloseCode]bool{
		push.BadFrame: false, push.BadToken: false, push.Forbidden: false, push.NoHello: false, push.Revoked: false,
		push.Internal: true, push.Overloaded: true, push.BrokerAway: true, push.RateLimited: true,
		push.Drained: true, push.NoPong: true, push.AckTimeout: true, push.TokenExpired: true, 1001: true, 1011: true,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			p := cuplinetest.New(t)
			_, handle := keep(1)
			l := listen(t, p, cupline.ListenConfig{Handle: handle})
			s := p.Next()
			s.Greet("s-1")
			s.Close(code)
			if again {
				if hello := p.Next().Greet("s-2"); hello.Session != "s-1" {
					t.Errorf("hello names session %q", hello.Session)
				}
				return
			}
			receive(t, "the listener's end", l.Done())
			var closed *cupline.CloseError
			if !errors.As(l.Err(), &closed) || closed.Code != code {
				t.Errorf("Err is %v", l.Err())
			}
			if s := l.Status(); s.State != cupline.Closed || s.Err == nil {
				t.Errorf("status is %+v", s)
			}
			if err := l.WaitOnline(t.Context()); !errors.As(err, &closed) {
				t.Errorf("WaitOnline says %v", err)
			}
		})
	}
}

// A stalled line closes nothing: only the pings that do not come can tell, two of them and five seconds.
func TestSilentConnectionIsLeft(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	_, handle := keep(1)
	listen(t, p, cupline.ListenConfig{Handle: handle})
	s := p.Next()
	s.Read()
	began := time.Now() // before what its patience counts from
	s.Send(cuplinetest.Frame(push.TypeWelcome, push.Welcome{Session: "s-1", Client: "web", Window: 64, Ping: 1, Reconnect: 60}))
	if hello := p.Next().Greet("s-2"); hello.Session != "s-1" {
		t.Errorf("hello names session %q", hello.Session)
	}
	if took := time.Since(began); took < 7*time.Second {
		t.Errorf("it was left after %s", took)
	}
}

func TestRefusedKeyEndsTheListener(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	p.Handle(cuplinetest.Connect, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"title":"Unauthorized","detail":"the key was revoked"}`))
	})
	_, handle := keep(1)
	l := listen(t, p, cupline.ListenConfig{Handle: handle})
	receive(t, "the listener's end", l.Done())
	var problem *cupline.Problem
	if err := l.Close(); !errors.Is(err, cupline.ErrUnauthorized) || !errors.As(err, &problem) || problem.Detail != "the key was revoked" {
		t.Errorf("Close says %v", err)
	}
}

func TestUnavailablePusherIsTriedAgain(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	refused := make(chan struct{}, 64)
	p.Handle(cuplinetest.Connect, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		refused <- struct{}{}
	})
	_, handle := keep(1)
	l := listen(t, p, cupline.ListenConfig{Handle: handle})
	for range 3 {
		receive(t, "an attempt", refused)
	}
	until(t, l, "offline", func(s cupline.Status) bool { return s.State == cupline.Offline && s.Err != nil })
	if err := l.Close(); err != nil {
		t.Errorf("Close says %v", err)
	}
}

func TestDrainReconnectsWhenAsked(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	_, handle := keep(1)
	// A wait this long would be seen: a drained client does not back off.
	listen(t, p, cupline.ListenConfig{Handle: handle, MinWait: time.Hour, MaxWait: time.Hour})
	s := p.Next()
	s.Greet("s-1")
	began := time.Now()
	s.Send(cuplinetest.Frame(push.TypeDrain, push.Drain{In: 150}))
	if hello := p.Next().Greet("s-2"); hello.Session != "s-1" {
		t.Errorf("hello names session %q", hello.Session)
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("came back after %s, asked for 150 ms", took)
	}
}

func TestLagIsToldAndEnds(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	_, handle := keep(1)
	l := listen(t, p, cupline.ListenConfig{Handle: handle})
	s := p.Next()
	s.Greet("s-1")
	s.Send(cuplinetest.Frame(push.TypeLag, push.Lag{On: true, Waiting: 12}))
	until(t, l, "lagging", func(s cupline.Status) bool { return s.State == cupline.Lagging && s.Waiting == 12 })
	s.Send(cuplinetest.Frame(push.TypeLag, push.Lag{}))
	until(t, l, "online again", func(s cupline.Status) bool { return s.State == cupline.Online && s.Waiting == 0 })
	s.Send(`{"type":"error","code":"mailbox","message":"the mailbox is not readable","temporary":true}`)
	until(t, l, "the problem told", func(s cupline.Status) bool { return s.State == cupline.Online && s.Err != nil })
}

func TestUnknownFramesAreIgnoredAndBrokenOnesEndTheConnection(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	got, handle := keep(1)
	listen(t, p, cupline.ListenConfig{Handle: handle})
	s := p.Next()
	s.Greet("s-1")
	s.Send(`{"type":"weather","sun":true}`, "", outcomeFrame(1, `7`, "c-1"))
	if o := receive(t, "the outcome", got); string(o.ID) != "7" {
		t.Errorf("id is %s", o.ID)
	}
	s.Send(`{"type":`)
	p.Next().Greet("s-2")
}

func TestCloseAcksWhatWasHandled(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	entered := make(chan struct{})
	l := listen(t, p, cupline.ListenConfig{Handle: func(ctx context.Context, _ cupline.Outcome) error {
		close(entered)
		<-ctx.Done() // Close says: finish
		return nil
	}})
	s := p.Next()
	s.Greet("s-1")
	s.Send(outcomeFrame(1, `"a"`, "c-1"), outcomeFrame(2, `"b"`, "c-2"))
	receive(t, "the handler", entered)
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	if f := s.Read(); f.Type != push.TypeAck || f.Seq != 1 {
		t.Errorf("the last frame is %+v", f)
	}
	if err := receive(t, "Close", closed); err != nil {
		t.Errorf("Close says %v", err)
	}
	if f, err := s.TryRead(); err == nil {
		t.Errorf("and then came %+v", f)
	}
	if err := l.Close(); err != nil {
		t.Errorf("the second Close says %v", err)
	}
}

func TestListenChecksItsSettings(t *testing.T) {
	t.Parallel()
	c := newClient(t, cuplinetest.New(t))
	if _, err := c.Listen(cupline.ListenConfig{}); err == nil {
		t.Error("a listener without a handler was made")
	}
	_, handle := keep(1)
	if _, err := c.Listen(cupline.ListenConfig{Handle: handle, Window: 65}); err == nil {
		t.Error("a window of 65 was taken")
	}
	c, err := cupline.New(cupline.Config{URL: "http://127.0.0.1:1", Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Listen(cupline.ListenConfig{Handle: handle}); err == nil {
		t.Error("a listener without a PushURL was made")
	}
}
