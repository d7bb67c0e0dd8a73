// Package summary counts the history of a load, and checks it.
package summary

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
	Seed string `json:"seed"`
	// Alone is set when no two faults were mixed.
	Alone bool `json:"alone,omitempty"`
	Nodes int  `json:"nodes,omitempty"`
	// Posts by answer, outcomes by origin or reason, faults by kind.
	Posts    map[string]int `json:"posts"`
	Outcomes map[string]int `json:"outcomes"`
	Faults   map[string]int `json:"faults"`
	// On counts the faults by kind and by what kind of thing they broke.
	On map[string]map[string]int `json:"on,omitempty"`
	// Actions of operators by kind and answer; Redrives are commands that they sent again, by jobs too.
	Actions  map[string]int `json:"actions,omitempty"`
	Redrives int            `json:"redrives,omitempty"`
	// Commands are those accepted, each id once; Executions what devices started.
	Commands   int `json:"commands"`
	Executions int `json:"executions"`
	// Commands = OneWay + Got + Waiting + Open: of those accepted so many were one-way, so many outcomes came into their
	// clients' hands, so many wait in their mailboxes, and so many are missing.
	OneWay  int `json:"one_way"`
	Got     int `json:"got"`
	Waiting int `json:"waiting"`
	Open    int `json:"open"`
	// Copies are outcomes that a client got again under the same command id.
	Copies int `json:"copies"`
	// Longest time from the first accepted post to the first outcome in the client's hands,
	// of clients that are online throughout; During is that of those under way while there was a
	// fault, by its kind.
	Longest time.Duration            `json:"longest_ns"`
	During  map[string]time.Duration `json:"during_ns,omitempty"`
	// Helped counts what had to be done to the broker by hand.
	Helped map[string]int `json:"helped,omitempty"`
	// Beside is how commands fared beside faults of another client, device, tenant or lane.
	Beside map[checker.Scope]checker.Beside `json:"beside,omitempty"`
	// Ready is the longest that a service took after healing.
	Ready      time.Duration       `json:"ready_ns"`
	Violations []checker.Violation `json:"violations"`
}

// journey is a command on its way.
type journey struct {
	sent, came           time.Time
	oneWay, got, waiting bool
}

// Of a history.
func Of(events []history.Event) Report {
	r := Report{
		Posts: map[string]int{}, Outcomes: map[string]int{}, Faults: map[string]int{}, Actions: map[string]int{}, During: map[string]time.Duration{}, Helped: map[string]int{}, On: map[string]map[string]int{},
		Violations: append([]checker.Violation{}, checker.Check(events)...),
	}
	r.Beside = checker.Bulkheads(events)
	seen, journeys := map[string]bool{}, sent(events)
	r.Commands = len(journeys)
	var faults []history.Event
	for _, e := range events {
		switch e.Kind {
		case history.Run:
			r.Seed, r.Nodes, r.Alone = e.Name, e.Count, e.Detail == history.Alone
		case history.Post:
			r.Posts[e.Answer]++
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
			if j := journeys[nameOf(e)]; j != nil && e.Redrive == 0 {
				j.arrive(e)
			}
		case history.Mailbox:
			if j := journeys[nameOf(e)]; j != nil && !e.Delivered {
				j.waiting = true
			}
		case history.Action:
			r.Actions[e.Name+" "+e.Answer]++
		case history.Letter:
			if e.As != "" {
				r.Redrives++
			}
		case history.Execution:
			r.Executions++
		case history.Fault:
			r.Faults[e.Detail]++
			if r.On[e.Detail] == nil {
				r.On[e.Detail] = map[string]int{}
			}
			if e.Of != "" {
				r.On[e.Detail][e.Of]++
			}
			faults = append(faults, e)
		case history.Helped:
			r.Helped[e.Detail]++
		case history.Service:
			r.Ready = max(r.Ready, e.Took)
		}
	}
	r.time(journeys, faults)
	r.conserve(journeys)
	return r
}

func (j *journey) arrive(e history.Event) {
	j.got = true
	if j.came.IsZero() && e.Client == "online" {
		j.came = e.At
	}
}

// conserve counts where each accepted command ended.
func (r *Report) conserve(journeys map[string]*journey) {
	for _, j := range journeys {
		switch {
		case j.oneWay:
			r.OneWay++
		case j.got:
			r.Got++
		case j.waiting:
			r.Waiting++
		default:
			r.Open++
		}
	}
}

// sent are the accepted commands by name. An outcome may be written down before the answer to its post is.
func sent(events []history.Event) map[string]*journey {
	journeys := map[string]*journey{}
	for _, e := range events {
		if name := nameOf(e); e.Kind == history.Post && e.Answer == history.Accepted && journeys[name] == nil {
			journeys[name] = &journey{sent: e.At, oneWay: e.OneWay}
		}
	}
	return journeys
}

func (r *Report) time(journeys map[string]*journey, faults []history.Event) {
	for _, j := range journeys {
		if j.came.IsZero() {
			continue
		}
		took := j.came.Sub(j.sent)
		r.Longest = max(r.Longest, took)
		for _, f := range faults {
			if f.At.Before(j.came) && j.sent.Before(f.At.Add(f.Took)) {
				r.During[f.Detail] = max(r.During[f.Detail], took)
			}
		}
	}
}

func nameOf(e history.Event) string {
	if e.OneWay {
		return e.Tenant + "/" + e.Client + "/" + e.ID + e.Tag
	}
	return e.Tenant + "/" + e.Client + "/" + e.ID
}

// String is the report for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %s", r.Seed)
	if r.Nodes > 0 {
		fmt.Fprintf(&b, ", broker nodes %d", r.Nodes)
	}
	fmt.Fprintf(&b, ": %d commands accepted, %d executions\n", r.Commands, r.Executions)
	fmt.Fprintf(&b, "  accepted %d = %d one-way + %d outcomes in clients' hands + %d in mailboxes + %d in flight\n", r.Commands, r.OneWay, r.Got, r.Waiting, r.Open)
	if len(r.Faults) > 0 {
		fmt.Fprintf(&b, "  faults:   %s\n", Counts(r.Faults))
	}
	fmt.Fprintf(&b, "  posts:    %s\n  outcomes: %s; %d copies\n", Counts(r.Posts), Counts(r.Outcomes), r.Copies)
	if len(r.Actions) > 0 {
		fmt.Fprintf(&b, "  redrives: %d; operators: %s\n", r.Redrives, Counts(r.Actions))
	}
	fmt.Fprintf(&b, "  longest to an outcome, client online: %s", r.Longest.Round(time.Millisecond))
	if r.Ready > 0 {
		fmt.Fprintf(&b, "; ready after healing: %s", r.Ready.Round(time.Millisecond))
	}
	if len(r.Helped) > 0 {
		fmt.Fprintf(&b, "\n  nodes of the broker: %s", Counts(r.Helped))
	}
	fmt.Fprintf(&b, "\n  violations: %d\n", len(r.Violations))
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "    %s\n", v)
	}
	return b.String()
}

// Counts of words, in the words' order: "cut 2, kill 1".
func Counts(of map[string]int) string {
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", word, of[word]))
	}
	return strings.Join(parts, ", ")
}
