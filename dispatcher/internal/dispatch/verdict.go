package dispatch

import (
	"errors"
	"time"

	"github.com/cupline/cupline/schema/envelope"
)

// Verdict is what is to be published about a command before it is acknowledged: an
// outcome, a letter, the command itself to be put aside, or nothing when another copy of it speaks.
type Verdict struct {
	// Outcome goes to the client.
	Outcome *envelope.Outcome
	// Letter goes to the recorder, around the message as it was delivered.
	Letter *envelope.Verdict
	// Park puts it aside for a moment, unclaimed: its device is paused.
	Park bool
	// Ending is the zero value when the command does not end here: a letter's ends with the
	// recorder, and what was decided before has been counted by whoever decided it.
	Ending Ending
}

// Ending is the end of one accepted command, for those who count: each command has one,
// so that what was accepted, less what ended, is in flight.
type Ending struct {
	// Word for the outcome: one of those below, or an outcome.Reason.
	Word string
	// Took is the time from its acceptance to its decision, in database time; 0 is not known.
	Took time.Duration
	// Late outcomes were decided when a client had reason to expect them long before: more
	// than Grace after the command's deadline and the method's timeout.
	Late bool
	// Trace of the command, for exemplars.
	Trace envelope.Trace
}

// Words for endings that are no failure.
const (
	// EndResult: the device answered with a result.
	EndResult = "result"
	// EndError: the device answered with an error of its own.
	EndError = "error"
	// EndOneWay: the device answered, and nobody is told.
	EndOneWay = "one_way"
	// EndRepeated: a repeated post, which its first copy answers.
	EndRepeated = "repeated"
)

// Ended is how the command ended with word at that moment of database time.
func (c *Command) Ended(word string, at time.Time) Ending {
	e := Ending{Word: word, Trace: c.Trace}
	if !c.Accepted.IsZero() {
		e.Took = max(at.Sub(c.Accepted), 0)
		e.Late = at.After(c.Deadline.Add(c.Timeout + Grace))
	}
	return e
}

// Why a command has no verdict. It is then not acknowledged.
var (
	// ErrNotStarted: its waiting was ended before anything was started; hand it back.
	ErrNotStarted = errors.New("not started")
	// ErrInterrupted: it was started, and given up. The ledger knows; whoever gets the
	// command next finds out there.
	ErrInterrupted = errors.New("interrupted")
)
