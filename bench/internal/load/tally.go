package load

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Tally is how a run's commands fared.
type Tally struct {
	Offered  int `json:"offered"`
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`
	// Doubtful POSTs were answered 504, or not at all.
	Doubtful int `json:"in_doubt"`
	Outcomes int `json:"outcomes"`
	// Failures are outcomes that are no results, by reason.
	Failures map[string]int `json:"failures,omitempty"`
	// Missing outcomes are those of accepted commands, Doubled ones came again for the same command, Strays
	// for no command of this run, and Wrong ones answer another command than they say.
	Missing int `json:"missing"`
	Doubled int `json:"doubled"`
	Strays  int `json:"strays"`
	Wrong   int `json:"wrong"`
	// Mailbox counts the outcomes that did not come straight to the socket.
	Mailbox int `json:"via_mailbox"`
	// Problems are the answers to POSTs that were not accepted, by status.
	Problems map[int]int `json:"problems,omitempty"`
}

func (t *Tally) add(b *book) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.commands {
		t.count(&b.commands[i])
	}
	t.Strays += b.strays
	t.Wrong += b.wrong
	t.Mailbox += b.mailbox
	for reason, n := range b.failures {
		if t.Failures == nil {
			t.Failures = map[string]int{}
		}
		t.Failures[reason] += n
	}
}

func (t *Tally) count(c *command) {
	t.Offered++
	switch c.fate {
	case accepted:
		t.Accepted++
		if c.outcomes == 0 {
			t.Missing++
		}
	case refused:
		t.Refused++
		t.Strays += int(c.outcomes)
	case doubtful, unanswered:
		t.Doubtful++
	}
	if c.outcomes > 0 {
		t.Outcomes++
		t.Doubled += int(c.outcomes) - 1
	}
}

// Err tells what must not be in a run of which figures are told: anything lost, doubled or wrong, and outcomes that are
// no results.
func (t Tally) Err() error {
	var wrong []string
	say := func(n int, what string) {
		if n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", n, what))
		}
	}
	say(t.Missing, "outcomes are missing")
	say(t.Doubled, "outcomes came twice")
	say(t.Strays, "outcomes came for commands that were not accepted in this run")
	say(t.Wrong, "outcomes answer another command than they say")
	for _, reason := range slices.Sorted(maps.Keys(t.Failures)) {
		say(t.Failures[reason], "commands ended as "+reason)
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, ", "))
}

// Latencies are those of the commands that were due within the window and have an outcome: from due to the outcome's
// frame, and from due to the POST's answer.
type Latencies struct {
	Outcome, Answer []time.Duration
}

func (l *Latencies) add(b *book, from, to time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.commands {
		if c.outcomes == 0 || c.due < from || c.due >= to {
			continue
		}
		l.Outcome = append(l.Outcome, c.done-c.due)
		if c.answered > 0 {
			l.Answer = append(l.Answer, c.answered-c.due)
		}
	}
}
