// Package migrations owns the schema of Cupline's Postgres database. The files in sql/ are
// embedded, applied in the order of their numbers, and never changed once released.
package migrations

import (
	"context"
	"errors"
	"time"
)

var errSoon = errors.New("not there yet")

// Up applies what is missing, each file in one transaction with its version row, under one
// advisory lock, and returns the names of the files it applied. It refuses a database that is newer than
// this binary (ErrNewer) and one whose applied files differ from the embedded ones (ErrChanged).
func Up(ctx context.Context, databaseURL string) (applied []string, err error) { return nil, errSoon }

// State of one migration.
type State struct {
	// Number and Name are the file's: 001 and "001_foundation.sql".
	Number int
	Name   string
	// Applied is zero while it is missing.
	Applied time.Time
}

// Status tells of every file known, embedded or applied, in the order of numbers. Its error is
// ErrNewer or ErrChanged where Up would refuse; the states come all the same.
func Status(ctx context.Context, databaseURL string) ([]State, error) { return nil, errSoon }

var (
	// ErrNewer says that the database has migrations which this binary does not know.
	ErrNewer = errors.New("the database is newer than this program")
	// ErrChanged says that a file which was applied is no longer what it was.
	ErrChanged = errors.New("an applied migration was changed")
)
