package devicetest

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/outcome"
)

// answersTwice must not give the second answer to the next call.
func answersTwice(t *testing.T, s *Subject) {
	s.Behave(func(request []byte, answer func([]byte)) {
		answer(result(idOf(request)))
		answer(result(idOf(request)))
	})
	if s.Attributes {
		s.fails(t, enough, outcome.BadAnswer) // two answers in one are none
	} else {
		s.succeeds(t)
	}
	s.Behave(echo)
	s.succeeds(t)
}

// answersLate must not give the late answer to the next call.
func answersLate(t *testing.T, s *Subject) {
	arrived, release, released := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	s.Behave(func(request []byte, answer func([]byte)) {
		arrived <- struct{}{}
		<-release
		answer(result(idOf(request)))
		close(released)
	})
	s.runsOut(t, arrived)
	s.Behave(echo)
	close(release)
	<-released
	s.succeeds(t)
}

// unattributed is what an answer comes to that does not say whose it is.
func (s *Subject) unattributed(t *testing.T) {
	t.Helper()
	if s.Attributes {
		s.fails(t, enough, outcome.BadAnswer)
	} else {
		s.fails(t, short, outcome.NoAnswer)
	}
	s.Behave(echo)
	s.succeeds(t)
}

func answersGarbage(t *testing.T, s *Subject) {
	for _, garbage := range []string{"", "\xff\x00", "<html>", `{"jsonrpc":"2.0","result":1}`, `{"jsonrpc":"2.0","id":null,"result":1}`} {
		s.Behave(func(_ []byte, answer func([]byte)) { answer([]byte(garbage)) })
		s.unattributed(t)
	}
}

// answersNoResponse names its call, but breaks JSON-RPC 2.0.
func answersNoResponse(t *testing.T, s *Subject) {
	for _, rest := range []string{``, `,"result":1,"error":{"code":1,"message":"x"}`, `,"error":"x"`} {
		s.Behave(func(request []byte, answer func([]byte)) {
			answer([]byte(`{"jsonrpc":"2.0","id":"` + idOf(request) + `"` + rest + `}`))
		})
		s.fails(t, enough, outcome.BadAnswer)
	}
	s.Behave(echo)
	s.succeeds(t)
}

func answersTooMuch(t *testing.T, s *Subject) {
	filler := bytes.Repeat([]byte("x"), 10<<20)
	s.Behave(func(request []byte, answer func([]byte)) {
		answer(append(append([]byte(`{"jsonrpc":"2.0","result":"`), filler...), `","id":"`+idOf(request)+`"}`...))
	})
	s.fails(t, enough, outcome.BadAnswer)
	s.Behave(echo)
	s.succeeds(t)
}

func answersTheMost(t *testing.T, s *Subject) {
	s.Behave(func(request []byte, answer func([]byte)) {
		shortest := len(`{"jsonrpc":"2.0","result":"","id":"` + idOf(request) + `"}`)
		filler := bytes.Repeat([]byte("x"), MaxAnswer-shortest)
		answer(append(append([]byte(`{"jsonrpc":"2.0","result":"`), filler...), `","id":"`+idOf(request)+`"}`...))
	})
	s.succeeds(t)
}

func answersAnothersID(t *testing.T, s *Subject) {
	s.Behave(func(_ []byte, answer func([]byte)) { answer(result(uuid.NewString())) })
	s.unattributed(t)
}

// escapedID answers with the right id in other bytes: the value counts.
func escapedID(t *testing.T, s *Subject) {
	s.Behave(func(request []byte, answer func([]byte)) {
		id := idOf(request)
		answer([]byte(`{"jsonrpc":"2.0","id":"\u003` + id[:1] + id[1:] + `","result":1}`))
	})
	s.succeeds(t)
}

func offline(t *testing.T, s *Subject) {
	s.Behave(echo)
	s.succeeds(t)
	s.Leave()
	s.fails(t, enough, outcome.DeviceOffline)
}

// givenUp ends the call's context: Execute has to return, with an error.
func givenUp(t *testing.T, s *Subject) {
	stop, arrived := make(chan struct{}), make(chan struct{})
	defer close(stop)
	s.Behave(func([]byte, func([]byte)) {
		close(arrived)
		<-stop
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := s.Driver.Execute(ctx, s.call(enough))
		ended <- err
	}()
	<-arrived
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a call that was given up has an answer")
		}
	case <-time.After(enough / 2):
		t.Error("a call that was given up goes on")
	}
}

// tooLate asks for a call whose timeout is used up, as after a pause of the process that
// no timer has noticed yet: nothing may be sent.
func tooLate(t *testing.T, s *Subject) {
	var requests atomic.Int32
	s.Behave(func(request []byte, answer func([]byte)) {
		requests.Add(1)
		echo(request, answer)
	})
	c := s.call(enough)
	c.Left = func() time.Duration { return 0 }
	response, err := s.Driver.Execute(t.Context(), c)
	expect(t, response, err, outcome.NoAnswer)
	s.succeeds(t) // what was sent before this one has arrived before it
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests arrived, want only the one in time", n)
	}
}

// exactlyOnce counts what arrives, byte for byte.
func exactlyOnce(t *testing.T, s *Subject) {
	const calls = 20
	arrived := make(chan []byte, 2*calls)
	s.Behave(func(request []byte, answer func([]byte)) {
		arrived <- bytes.Clone(request)
		echo(request, answer)
	})
	for range calls {
		c := s.call(enough)
		if _, err := s.execute(t, c); err != nil {
			t.Fatal(err)
		}
		if got := <-arrived; !bytes.Equal(got, c.Request) {
			t.Fatalf("the device got %q, want %q", got, c.Request)
		}
	}
	if n := len(arrived); n != 0 {
		t.Errorf("%d requests arrived again", n)
	}
}
