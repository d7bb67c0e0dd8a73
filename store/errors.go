// Package store is all that Cupline keeps in Postgres, one package for each thing
// kept; this one holds only how their errors are asked.
//
// Every error of these packages that came from the database answers errors.Is with
// ErrUnavailable or ErrRefused where that is what it means, and keeps the driver's own
// error in its chain.
package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cupline/cupline/chassis/postgres"
)

var (
	// ErrUnavailable says that the database is away, too slow, or that the link died before its
	// answer came. Whether the write was made is not known; every write of these packages may be
	// called again as it was.
	ErrUnavailable = errors.New("database unavailable")
	// ErrRefused says that the database refuses this row's data (SQLSTATE class 22 or 23):
	// calling again cannot help.
	ErrRefused = errors.New("row refused by the database")
)

// Fault wraps a database error with what was attempted and marks it with ErrUnavailable or
// ErrRefused where it is one. The caller's own cancellation is neither. A nil err gives nil.
func Fault(attempted string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrRefused), errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", attempted, err)
	case postgres.IsRefusedRow(err):
		return fmt.Errorf("%s: %w: %w", attempted, ErrRefused, err)
	case postgres.IsUnavailable(err), postgres.IsRetryable(err), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w: %w", attempted, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", attempted, err)
}
