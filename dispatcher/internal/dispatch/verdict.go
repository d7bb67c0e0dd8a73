package dispatch

import (
	"errors"

	"github.com/cupline/cupline/schema/envelope"
)

// Verdict is what is to be published about a command before it is acknowledged: an
// outcome, a letter, or nothing when another copy of it speaks.
type Verdict struct {
	// Outcome goes to the client.
	Outcome *envelope.Outcome
	// Letter goes to the recorder, around the message as it was delivered.
	Letter *envelope.Verdict
}

// Why a command has no verdict. It is then not acknowledged.
var (
	// ErrNotStarted: its waiting was ended before anything was started; hand it back.
	ErrNotStarted = errors.New("not started")
	// ErrInterrupted: it was started, and given up. The ledger knows; whoever gets the
	// command next finds out there.
	ErrInterrupted = errors.New("interrupted")
)
