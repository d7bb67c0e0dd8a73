package exit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cupline/cupline/cli/internal/exit"
	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/outcome"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{exit.Usagef("x"), 2},
		{&cupline.Problem{Status: 422}, 3},
		{cupline.ErrRefused, 3},
		{&cupline.Problem{Status: 504, InDoubt: true}, 4},
		{errors.Join(context.Canceled, cupline.ErrInDoubt), 4},
		{errors.Join(cupline.ErrUnreachable, cupline.ErrRefused), 5},
		{&cupline.DeviceError{Code: 1}, 6},
		{&cupline.PlatformError{Executed: outcome.No}, 7},
		{&cupline.PlatformError{Executed: outcome.Maybe}, 8},
		{&cupline.PlatformError{}, 8},
		{exit.With(exit.NoOutcome, context.DeadlineExceeded), 9},
		{exit.With(exit.Different, errors.New("x")), 10},
		{context.Canceled, 130},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("wrapped: %w", err)
		}
		if got := exit.Code(err); got != c.want {
			t.Errorf("%v ends with %d, not %d", c.err, got, c.want)
		}
		if !strings.Contains(exit.Table, fmt.Sprintf("%5d  ", c.want)) {
			t.Errorf("the table of help lacks %d", c.want)
		}
	}
}

func TestAdviceSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for word, err := range map[string]error{
		"same --id":      &cupline.Problem{InDoubt: true, Status: 504},
		"CUPLINE_KEY":    &cupline.Problem{Status: 401},
		"make up":        cupline.ErrUnreachable,
		"Try again in 2": &cupline.Problem{Status: 503, RetryAfter: 2e9},
	} {
		if got := exit.Advice(err); !strings.Contains(got, word) {
			t.Errorf("%v: %q", err, got)
		}
	}
	if got := exit.Advice(errors.New("x")); got != "" {
		t.Errorf("an error that says it all: %q", got)
	}
}
