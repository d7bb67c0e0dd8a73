package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cupline/cupline/store"
)

func TestFaultNamesWhatItIs(t *testing.T) {
	t.Parallel()
	state := func(code string) error { return &pgconn.PgError{Code: code} }
	for _, c := range []struct {
		name                 string
		err                  error
		unavailable, refused bool
	}{
		{"a NUL in a text", state("22021"), false, true},
		{"a broken rule", state("23514"), false, true},
		{"a shutdown", state("57P01"), true, false},
		{"a deadlock", state("40P01"), true, false},
		{"no answer in time", context.DeadlineExceeded, true, false},
		{"the caller's own end", context.Canceled, false, false},
		{"a wrong statement", state("42601"), false, false},
		{"named already", fmt.Errorf("x: %w", store.ErrRefused), false, true},
	} {
		got := store.Fault("try", c.err)
		if !errors.Is(got, c.err) || errors.Is(got, store.ErrUnavailable) != c.unavailable || errors.Is(got, store.ErrRefused) != c.refused {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if err := store.Fault("try", nil); err != nil {
		t.Errorf("no error: %v", err)
	}
}
