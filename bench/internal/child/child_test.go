package child

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLines(t *testing.T) {
	t.Parallel()
	c, err := Start(t.Context(), "/bin/sh", []string{"WORD=there"}, "-c", `while read line; do echo "$line $WORD"; done`)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Say("hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := c.Line(t.Context()); err != nil || line != "hello there" {
		t.Errorf("%q, %v", line, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Line(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that says nothing: %v", err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

// A program that fails is told with what it said.
func TestFailure(t *testing.T) {
	t.Parallel()
	c, err := Start(t.Context(), "/bin/sh", nil, "-c", "echo it broke >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Line(t.Context()); err == nil {
		t.Error("a program that has ended said a line")
	}
	if err := c.Stop(); err == nil || !strings.Contains(err.Error(), "it broke") {
		t.Errorf("%v", err)
	}
	if _, err := Start(t.Context(), "/nowhere/at/all", nil); err == nil {
		t.Error("a program that is not there was started")
	}
}
