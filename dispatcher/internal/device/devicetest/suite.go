// Package devicetest holds every driver to the same contract: dispatch.Driver's. A
// driver's own test makes a Subject, a driver with a device at its other end, and calls
// Run.
package devicetest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

// Subject is one driver and one device that the suite directs. It ends with its test.
type Subject struct {
	Driver dispatch.Driver
	Target dispatch.Target
	// Behave sets what the device does with each request that reaches it from now on.
	// behaviour is called in a goroutine of its own, which ends before the test does;
	// answer may be called any number of times before it returns.
	Behave func(behaviour func(request []byte, answer func([]byte)))
	// Leave takes the device away.
	Leave func()
	// Attributes tells that the transport ties an answer to its request. Then whatever
	// comes back is this call's bad answer. Else an answer that does not name its call
	// belongs to none.
	Attributes bool
}

// Limits of the calls that the suite makes.
const (
	MaxAnswer = 64 << 10
	enough    = time.Minute
	// short is the timeout of calls that run into it.
	short = 700 * time.Millisecond
)

// Run runs the whole suite, each test with a Subject of its own.
func Run(t *testing.T, subject func(t *testing.T) *Subject) {
	for name, test := range map[string]func(*testing.T, *Subject){
		"answers with a result":           answersResult,
		"answers with an error":           answersError,
		"answers two calls at once":       answersTwoAtOnce,
		"never answers":                   neverAnswers,
		"answers twice":                   answersTwice,
		"answers late":                    answersLate,
		"answers garbage":                 answersGarbage,
		"answers what is no response":     answersNoResponse,
		"answers 10 MiB":                  answersTooMuch,
		"answers as much as is allowed":   answersTheMost,
		"answers with another's id":       answersAnothersID,
		"is offline":                      offline,
		"is given up":                     givenUp,
		"is called when it is too late":   tooLate,
		"gets each request exactly once":  exactlyOnce,
		"answers in other words the same": escapedID,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, subject(t))
		})
	}
}

// call makes one call with a timeout.
func (s *Subject) call(timeout time.Duration) *dispatch.Call {
	id := uuid.Must(uuid.NewV7()).String()
	ends := time.Now().Add(timeout)
	return &dispatch.Call{
		Target: s.Target, ID: id, MaxAnswer: MaxAnswer,
		Request: []byte(`{"jsonrpc":"2.0","id":"` + id + `","method":"relay.set","params":{"on": true}}`),
		Left:    func() time.Duration { return time.Until(ends) },
	}
}

func (s *Subject) execute(t *testing.T, c *dispatch.Call) (jsonrpc.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), c.Left())
	defer cancel()
	return s.Driver.Execute(ctx, c)
}

// fails makes a call that has to end with that reason.
func (s *Subject) fails(t *testing.T, timeout time.Duration, want outcome.Reason) {
	t.Helper()
	response, err := s.execute(t, s.call(timeout))
	expect(t, response, err, want)
}

func expect(t *testing.T, response jsonrpc.Response, err error, want outcome.Reason) {
	t.Helper()
	var failure *dispatch.Failure
	if !errors.As(err, &failure) || failure.Reason != want {
		t.Fatalf("the call came to %.80q, %v; want %s", response.Body, err, want)
	}
}

// runsOut makes a call whose time is over a little after its request has arrived, however long that took: one that
// ended before would say something else, and a test of what comes late would test nothing.
func (s *Subject) runsOut(t *testing.T, arrived <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		select {
		case <-arrived:
			time.AfterFunc(short, cancel)
		case <-ctx.Done():
		}
	}()
	response, err := s.Driver.Execute(ctx, s.call(enough))
	expect(t, response, err, outcome.NoAnswer)
}

// succeeds makes a call that has to get its own answer.
func (s *Subject) succeeds(t *testing.T) {
	t.Helper()
	c := s.call(enough)
	response, err := s.execute(t, c)
	if err != nil || !dispatch.IsID(response.ID, c.ID) {
		t.Fatalf("the call came to %.80q, %v; want its answer", response.Body, err)
	}
}

// idOf reads a request's id.
func idOf(request []byte) string {
	r, err := jsonrpc.ParseRequest(request)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(r.ID.Key, "s:")
}

func result(id string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":"` + id + `","result":{"on":true}}`)
}

func echo(request []byte, answer func([]byte)) { answer(result(idOf(request))) }

func answersResult(t *testing.T, s *Subject) {
	s.Behave(func(request []byte, answer func([]byte)) {
		answer([]byte("{\"result\": {\"on\":true},\n\"jsonrpc\":\"2.0\", \"more\":1.0, \"id\":\"" + idOf(request) + "\"}\n"))
	})
	c := s.call(enough)
	response, err := s.execute(t, c)
	want := "{\"result\": {\"on\":true},\n\"jsonrpc\":\"2.0\", \"more\":1.0, \"id\":\"" + c.ID + "\"}"
	if err != nil || string(response.Body) != want {
		t.Fatalf("the call came to %q, %v; want the device's bytes", response.Body, err)
	}
}

func answersError(t *testing.T, s *Subject) {
	s.Behave(func(request []byte, answer func([]byte)) {
		answer([]byte(`{"jsonrpc":"2.0","id":"` + idOf(request) + `","error":{"code":-32601,"message":"no such method"}}`))
	})
	response, err := s.execute(t, s.call(enough))
	if err != nil || !response.Failed {
		t.Fatalf("the call came to %q, %v; want the device's error, which is an answer", response.Body, err)
	}
}

// answersTwoAtOnce holds the call that arrives first back until the other one is answered.
func answersTwoAtOnce(t *testing.T, s *Subject) {
	arrived := [2]chan string{make(chan string, 1), make(chan string, 1)}
	proceed := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	var requests atomic.Int32
	s.Behave(func(request []byte, answer func([]byte)) {
		n := requests.Add(1) - 1
		arrived[n] <- idOf(request)
		<-proceed[n]
		answer(result(idOf(request)))
	})
	answers := make(chan string, 2)
	for range 2 {
		go func() {
			c := s.call(enough)
			response, err := s.execute(t, c)
			if err != nil || !dispatch.IsID(response.ID, c.ID) {
				t.Errorf("a call came to %q, %v", response.Body, err)
			}
			answers <- c.ID
		}()
	}
	first, second := <-arrived[0], <-arrived[1]
	close(proceed[1])
	if got := <-answers; got != second {
		t.Errorf("%s was answered first, want %s", got, second)
	}
	close(proceed[0])
	if got := <-answers; got != first {
		t.Errorf("%s was answered last, want %s", got, first)
	}
}

func neverAnswers(t *testing.T, s *Subject) {
	stop := make(chan struct{})
	defer close(stop)
	arrived := make(chan struct{}, 1)
	s.Behave(func([]byte, func([]byte)) {
		arrived <- struct{}{}
		<-stop
	})
	s.runsOut(t, arrived)
}
