// Package exit gives each way in which a command can end a code of its own, for scripts.
package exit

import (
	"context"
	"errors"
	"fmt"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/outcome"
)

// The exit codes. They never change.
const (
	OK = 0
	// Failed: whatever has no code of its own.
	Failed = 1
	// Usage: the command line or a setting is wrong. Nothing was tried.
	Usage = 2
	// Refused: the platform answered that it accepts or changes nothing.
	Refused = 3
	// InDoubt: the platform may have accepted it. The same id again is safe.
	InDoubt = 4
	// Unreachable: no connection. Nothing was accepted.
	Unreachable = 5
	// DeviceError: the device executed the command and answered an error.
	DeviceError = 6
	// NotExecuted and MaybeExecuted: a platform error in place of the device's answer.
	NotExecuted   = 7
	MaybeExecuted = 8
	// NoOutcome: accepted, and the outcome did not come in the time given. It still will.
	NoOutcome = 9
	// Different: a check found differences.
	Different = 10
	// Interrupted by Ctrl-C or SIGTERM: 128 and SIGINT, as shells have it.
	Interrupted = 130
)

// Table is the list of codes, for help.
const Table = `Exit codes:
    0  done; with send --wait, the device answered a result
    1  failed otherwise
    2  the command line or a setting is wrong; nothing was tried
    3  refused: the platform accepted and changed nothing
    4  in doubt: the platform may have accepted it; the same id again is safe
    5  unreachable: no connection, so nothing was accepted
    6  the device answered an error
    7  a platform error, and the device did not execute the command
    8  a platform error, and the device may have executed the command
    9  accepted, but no outcome in the time given; it still comes
   10  a check found differences
  130  interrupted`

// Error is an error with an exit code.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// With gives an error its exit code.
func With(code int, err error) error { return &Error{Code: code, Err: err} }

// Usagef is an error in the command line or a setting.
func Usagef(format string, args ...any) error { return With(Usage, fmt.Errorf(format, args...)) }

// Code is the exit code that an error means.
func Code(err error) int {
	var coded *Error
	var device *cupline.DeviceError
	var platform *cupline.PlatformError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &coded):
		return coded.Code
	case errors.As(err, &device):
		return DeviceError
	case errors.As(err, &platform) && platform.Executed == outcome.No:
		return NotExecuted
	case errors.As(err, &platform):
		return MaybeExecuted
	case errors.Is(err, cupline.ErrInDoubt):
		return InDoubt
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, cupline.ErrUnreachable):
		return Unreachable
	case errors.Is(err, cupline.ErrRefused):
		return Refused
	}
	return Failed
}

// Advice is what to do about an error; empty where the error says it all.
func Advice(err error) string {
	var problem *cupline.Problem
	switch {
	case errors.Is(err, cupline.ErrInDoubt):
		return "Sending the same command with the same --id again is safe."
	case errors.Is(err, cupline.ErrUnauthorized):
		return "Check CUPLINE_KEY, and what the key may do: `cupline keys list`."
	case errors.Is(err, cupline.ErrUnreachable):
		return "Is Cupline running? `make up` starts it here; CUPLINE_API_URL and CUPLINE_PUSH_URL say where it is."
	case errors.As(err, &problem) && problem.RetryAfter > 0:
		return fmt.Sprintf("Try again in %s.", problem.RetryAfter)
	}
	return ""
}
