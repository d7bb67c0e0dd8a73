package dispatch

import (
	"time"

	"github.com/google/uuid"
)

// step is what a claim leads to.
type step string

const (
	stepStart     step = "start"     // the row is ours
	stepTell      step = "tell"      // it is decided: publish what the row says
	stepForget    step = "forget"    // a repeated post, and the first copy will answer
	stepDuplicate step = "duplicate" // the id belongs to another device or body
	stepHold      step = "hold"      // started by a worker that may be alive
	stepAgain     step = "again"     // started by a worker that is gone: run it again
	stepLost      step = "lost"      // the same, and it must not run again
)

// judge is the whole of the rules for a command that meets a row: DESIGN, section 5,
// step 1. token is the one that the claim was tried under, now database time.
func judge(c *Command, token uuid.UUID, row *Row, now time.Time) step {
	switch {
	case row.CommandID != c.ID && row.Digest != c.Digest:
		return stepDuplicate
	case row.Decided != nil:
		return stepTell
	case row.CommandID != c.ID:
		return stepForget
	case row.Token == token:
		return stepStart
	case now.Before(row.LostAt()):
		return stepHold
	case c.Idempotent:
		return stepAgain
	}
	return stepLost
}
