package dispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestJudgeEveryRow goes through every combination of what a claim can meet, and holds
// judge to the rules as DESIGN, section 5, states them.
func TestJudgeEveryRow(t *testing.T) {
	t.Parallel()
	mine, other, token := uuid.New(), uuid.New(), uuid.New()
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	each := []bool{false, true}
	seen := map[step]int{}
	for _, sameID := range each {
		for _, sameDigest := range each {
			for _, decided := range each {
				for _, ownToken := range each {
					for _, alive := range each {
						for _, idempotent := range each {
							name := fmt.Sprintf("same id %t, digest %t, decided %t, own token %t, may be alive %t, idempotent %t",
								sameID, sameDigest, decided, ownToken, alive, idempotent)
							c := &Command{Digest: [32]byte{1}}
							c.ID, c.Idempotent = mine, idempotent
							row := &Row{CommandID: other, Digest: [32]byte{2}, Token: other, Started: started, Timeout: time.Second}
							now := row.LostAt()
							if sameID {
								row.CommandID = mine
							}
							if sameDigest {
								row.Digest = c.Digest
							}
							if decided {
								row.Decided = &Decided{}
							}
							if ownToken {
								row.Token = token
							}
							if alive {
								now = now.Add(-time.Nanosecond)
							}
							got := judge(c, token, row, now)
							if want := rule(sameID, sameDigest, decided, ownToken, alive, idempotent); got != want {
								t.Errorf("%s: %s, want %s", name, got, want)
							}
							seen[got]++
						}
					}
				}
			}
		}
	}
	if len(seen) != 7 {
		t.Errorf("the combinations led to %v, want all seven steps", seen)
	}
}

// rule reads the design's sentences in their order.
func rule(sameID, sameDigest, decided, ownToken, alive, idempotent bool) step {
	if !sameID { // "another command id: a repeated post"
		if !sameDigest { // "Digest differs: to the recorder as duplicate_id"
			return stepDuplicate
		}
		if !decided { // "Open: ack, the first copy answers"
			return stepForget
		}
		return stepTell // "Outcome present: publish it again under this command id"
	}
	if decided { // "same command id, outcome present: publish what the row says"
		return stepTell
	}
	if ownToken { // "own claim token (the commit's answer was lost): go on"
		return stepStart
	}
	if alive { // "holds it, on a timer, ... until started + timeout + 2 s"
		return stepHold
	}
	if idempotent { // "run again where the method is idempotent"
		return stepAgain
	}
	return stepLost // "else to the recorder as worker_lost"
}
