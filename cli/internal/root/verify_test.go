package root_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/clients/go/cuplinetest"
)

// lossy plays a platform that accepts everything and forgets it.
func lossy(t *testing.T) (p *cuplinetest.Platform, deleted *atomic.Int32) {
	p, deleted = cuplinetest.New(t), new(atomic.Int32)
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	remove := func(w http.ResponseWriter, _ *http.Request) {
		deleted.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}
	p.Handle("GET /v1/mailbox", say(`{"outcomes":[],"waiting":0}`))
	p.Handle("PUT /v1/device-types/{type}", say(`{}`))
	p.Handle("PUT /v1/devices/{device}", say(`{}`))
	p.Handle("DELETE /v1/device-types/{type}", remove)
	p.Handle("DELETE /v1/devices/{device}", remove)
	p.Handle("GET /v1/commands", say(`{"commands":[]}`))
	p.Handle("GET /v1/commands/{id}", cuplinetest.Problem(http.StatusNotFound, "unknown_command", "no such command"))
	p.Handle("GET /v1/dead-letters", cuplinetest.Problem(http.StatusForbidden, "forbidden", "scope"))
	p.Handle("GET /v1/audit", say(`{"entries":[]}`))
	var count atomic.Int32
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) {
		cuplinetest.Accept(fmt.Sprintf("0190b1f0-0000-7000-8000-%012d", count.Add(1)))(w, r)
	})
	return p, deleted
}

func TestVerifyFindsALostOutcomeAndCleansUp(t *testing.T) {
	t.Parallel()
	p, deleted := lossy(t)
	done := launch(t.Context(), p, "verify", "--time", "4s", "--rate", "20", "--patience", "1s", "--seed", "7")
	p.Next().Greet("s-1")
	e := <-done
	if e.code != exit.Different || !strings.Contains(e.out, "I1: own/online") || !strings.Contains(e.out, "no outcome reached the client") {
		t.Errorf("ends with %+v", e)
	}
	if !strings.Contains(e.errs, "the key lacks ops:read: the letter is not looked at") {
		t.Errorf("standard error says %s", e.errs)
	}
	if deleted.Load() != 3 { // two types, one device
		t.Errorf("%d of what it made were deleted", deleted.Load())
	}
}

func TestVerifyRefusesWhatIsOutOfBounds(t *testing.T) {
	t.Parallel()
	p, _ := lossy(t)
	e := execute(t.Context(), on(p), "", "verify", "--time", "2h", "--rate", "1000", "--lane", "a.b", "--mqtt", "tcp://u:p@h:1")
	if e.code != exit.Usage || strings.Count(e.errs, "must be") != 3 || !strings.Contains(e.errs, "need the key's tenant") {
		t.Errorf("ends with %+v", e)
	}
	p.Handle("GET /v1/mailbox", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"outcomes":[{"id":"x","command_id":"c","response":{}}],"waiting":1}`)
	})
	if e := execute(t.Context(), on(p), "", "verify"); e.code != exit.Failed || !strings.Contains(e.errs, "a client of its own") {
		t.Errorf("with a client that is in use it ends with %+v", e)
	}
}
