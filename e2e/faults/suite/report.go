package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/verify/checker"
	"github.com/cupline/cupline/verify/history"
)

// Report is what a run came to.
type Report struct {
	// Seed of the run, and how many nodes its broker had.
	Seed  string
	Nodes int
	// Posts by answer, outcomes by origin or reason, faults by kind.
	Posts, Outcomes, Faults map[string]int
	// Commands are those accepted, each id once; Executions what devices started.
	Commands, Executions int
	// Copies are outcomes that a client got again under the same command id.
	Copies int
	// Longest time from the first accepted post to the first outcome in the client's hands,
	// of clients that are online throughout.
	Longest time.Duration
	// Ready is the longest that a service took after healing.
	Ready      time.Duration
	Violations []checker.Violation
}

// Summarise counts a history, and checks it.
func Summarise(events []history.Event) Report {
	r := Report{
		Posts: map[string]int{}, Outcomes: map[string]int{}, Faults: map[string]int{}, Violations: checker.Check(events),
	}
	sent, seen := map[string]time.Time{}, map[string]bool{}
	came := map[string]bool{}
	for _, e := range events {
		name := e.Tenant + "/" + e.Client + "/" + e.ID + e.Tag
		if !e.OneWay {
			name = e.Tenant + "/" + e.Client + "/" + e.ID
		}
		switch e.Kind {
		case history.Run:
			r.Seed, r.Nodes = e.Name, e.Count
		case history.Post:
			r.Posts[e.Answer]++
			if _, known := sent[name]; !known && e.Answer == history.Accepted {
				sent[name] = e.At
				r.Commands++
			}
		case history.Outcome:
			if seen[e.CommandID] {
				r.Copies++
				continue
			}
			seen[e.CommandID] = true
			word := e.Reason
			if word == "" {
				word = e.Origin
			}
			r.Outcomes[word]++
			if at, ok := sent[name]; ok && !came[name] && e.Client == "online" {
				r.Longest = max(r.Longest, e.At.Sub(at))
			}
			came[name] = true
		case history.Execution:
			r.Executions++
		case history.Fault:
			r.Faults[e.Detail]++
		case history.Service:
			r.Ready = max(r.Ready, e.Took)
		}
	}
	return r
}

// String is the report for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %s, broker nodes %d: %d commands accepted, %d executions\n", r.Seed, r.Nodes, r.Commands, r.Executions)
	fmt.Fprintf(&b, "  faults:   %s\n  posts:    %s\n  outcomes: %s; %d copies\n", counts(r.Faults), counts(r.Posts), counts(r.Outcomes), r.Copies)
	fmt.Fprintf(&b, "  longest to an outcome, client online: %s; ready after healing: %s\n",
		r.Longest.Round(time.Millisecond), r.Ready.Round(time.Millisecond))
	fmt.Fprintf(&b, "  violations: %d\n", len(r.Violations))
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "    %s\n", v)
	}
	return b.String()
}

func counts(of map[string]int) string {
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", word, of[word]))
	}
	return strings.Join(parts, ", ")
}
