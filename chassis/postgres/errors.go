package postgres

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// state is the SQLSTATE of err, or "".
func state(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

func class(err error) string {
	if s := state(err); len(s) == 5 {
		return s[:2]
	}
	return ""
}

// IsRefusedRow reports that the database refuses the data itself (class 22, data exception,
// and 23, constraint violation): sending it again cannot help, and in a batch the others
// are not at fault.
func IsRefusedRow(err error) bool { return class(err) == "22" || class(err) == "23" }

// IsUnique reports a unique violation (23505).
func IsUnique(err error) bool { return state(err) == "23505" }

// IsRetryable reports that the transaction was rolled back because of others (40001
// serialization failure, 40P01 deadlock): it may be run again at once.
func IsRetryable(err error) bool { return state(err) == "40001" || state(err) == "40P01" }

// IsNoRows reports that a query for one row found none.
func IsNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// IsUnavailable reports that the database is away, starting, stopping, full, read-only or
// out of connections, or was not reached in time: the same may succeed later. Whether a
// COMMIT took effect whose answer was lost is not known.
func IsUnavailable(err error) bool {
	switch class(err) {
	case "08", "53", "57", "58":
		return true
	}
	switch state(err) {
	case "25006", "25P03", "55P03": // read-only: a replica; idle in transaction; lock not available
		return true
	case "":
		return lost(err)
	}
	return false
}

// lost reports that an error came from the way to the database, not from the database.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err) || pgconn.SafeToRetry(err)
}
