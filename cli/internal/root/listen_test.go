package root_test

import (
	"context"
	"strings"
	"testing"

	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/clients/go/cuplinetest"
	"github.com/cupline/cupline/schema/push"
)

func TestListenPrintsOutcomesAndEndsAfterEnough(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	done := launch(t.Context(), p, "listen", "--count", "2")
	s := p.Next()
	s.Greet("s-1")
	const noAnswer = `"error":{"code":-32012,"message":"no answer from the device","data":{"reason":"no_answer","executed":"maybe"}}`
	s.Send(cuplinetest.Outcome(1, `"a"`, "cmd-1", "device", `"result":{"n":1}`),
		cuplinetest.Outcome(2, `7`, "cmd-2", "platform", noAnswer),
		cuplinetest.Outcome(3, `"c"`, "cmd-3", "device", `"result":3`))
	acked := uint64(0)
	for f, err := s.TryRead(); err == nil; f, err = s.TryRead() {
		acked = f.Seq
	}
	if acked != 2 {
		t.Errorf("acked up to %d", acked)
	}
	e := <-done
	lines := strings.Split(strings.TrimSpace(e.out), "\n")
	if e.code != exit.OK || len(lines) != 2 || !strings.HasSuffix(lines[0], `"a"  lamp-1  echo  {"n":1}`) ||
		!strings.HasSuffix(lines[1], "7  lamp-1  echo  ! no answer from the device (no_answer); it may have been executed") {
		t.Errorf("ends with %+v", e)
	}
	if !strings.Contains(e.errs, "listening as client web, 3 waiting in the mailbox, 1 refused because it was full") {
		t.Errorf("standard error says %s", e.errs)
	}
}

func TestListenGoesOnUntilInterrupted(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	ctx, interrupt := context.WithCancel(t.Context())
	done := launch(ctx, p, "listen", "--output", "json")
	s := p.Next()
	s.Greet("s-1")
	s.Cut()
	s = p.Next()
	s.Greet("s-2")
	s.Send(cuplinetest.Outcome(1, `"a"`, "cmd-1", "device", `"result":1`))
	s.Read()
	interrupt()
	e := <-done
	if e.code != exit.OK || strings.Count(e.out, "\n") != 1 || !strings.Contains(e.out, `"command_id":"cmd-1"`) {
		t.Errorf("ends with %+v", e)
	}
	if !strings.Contains(e.errs, "recovering, trying again") {
		t.Errorf("standard error says %s", e.errs)
	}
}

func TestListenEndsWithTheKey(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	done := launch(t.Context(), p, "listen")
	s := p.Next()
	s.Greet("s-1")
	s.Close(push.Revoked)
	if e := <-done; e.code != exit.Failed || !strings.Contains(e.errs, "4004 revoked") {
		t.Errorf("ends with %+v", e)
	}
}
