package checker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/verify/history"
)

const (
	// besideFactor is how many times longer than in calm the slowest in a hundred may take beside a
	// fault that is another's; below besideFloor nothing is said, so that a busy machine is no fault.
	besideFactor = 3
	besideFloor  = time.Second
	// besideLeast is how many commands there must be for a figure.
	besideLeast = 50
	// aftermath is how long after a fault nothing counts as calm.
	aftermath = 5 * time.Second
)

// Beside compares the commands of those who have nothing to do with a fault of one client, device, tenant or
// lane with the like of them in calm: fast commands of clients that are online, on the same lanes.
type Beside struct {
	// Calm and During are the 99th percentiles from the post to the outcome, of so many commands.
	Calm, During           time.Duration
	CalmCount, DuringCount int
}

// Enough reports that there are commands enough for figures.
func (b Beside) Enough() bool { return b.CalmCount >= besideLeast && b.DuringCount >= besideLeast }

// Scope is whose a fault was alone.
type Scope string

// The scopes.
const (
	OneClient Scope = "client"
	OneDevice Scope = "device"
	OneTenant Scope = "tenant"
	OneLane   Scope = "lane"
)

// Bulkheads reads the figures out of a history, by the scope of the fault. What was beside two of them at once counts for
// both. A fault that is of everybody counts for none.
func Bulkheads(events []history.Event) map[Scope]Beside {
	var faults []history.Event
	posts, repeated := map[string]history.Event{}, map[string]bool{}
	for _, e := range events {
		switch e.Kind {
		case history.Fault:
			faults = append(faults, e)
		case history.Post:
			key := e.Tenant + "/" + e.ID
			_, repeated[key] = posts[key]
			posts[key] = e
		}
	}
	calm, during := map[string][]time.Duration{}, map[Scope][]time.Duration{} // calm by lane
	lanes := map[Scope]map[string]bool{}
	seen := map[string]bool{}
	for _, e := range events {
		key := e.Tenant + "/" + e.ID
		p, posted := posts[key]
		if e.Kind != history.Outcome || seen[key] || !posted || repeated[key] || p.Answer != history.Accepted ||
			e.Client != "online" || e.Redrive > 0 || e.Origin != "device" || !strings.HasPrefix(p.Method, "fast") {
			continue
		}
		seen[key] = true
		took := e.At.Sub(p.At)
		scopes, elsewhere := beside(p, e.At, faults)
		if !elsewhere && len(scopes) == 0 {
			calm[p.Lane] = append(calm[p.Lane], took)
		}
		for _, scope := range scopes {
			during[scope] = append(during[scope], took)
			if lanes[scope] == nil {
				lanes[scope] = map[string]bool{}
			}
			lanes[scope][p.Lane] = true
		}
	}
	figures := map[Scope]Beside{}
	for scope, all := range during {
		var alike []time.Duration // of the same lanes
		for lane := range lanes[scope] {
			alike = append(alike, calm[lane]...)
		}
		figures[scope] = Beside{percentile(alike), percentile(all), len(alike), len(all)}
	}
	return figures
}

// beside is of whose faults a command was beside while it was under way; elsewhere when one was its own, or everybody's,
// or just over.
func beside(p history.Event, end time.Time, faults []history.Event) (scopes []Scope, elsewhere bool) {
	for _, f := range faults {
		from, to := f.At, f.At.Add(f.Took)
		switch {
		case end.Before(from) || p.At.After(to.Add(aftermath)):
		case f.Tenant == "" && f.Lane == "" || p.At.After(to), itsOwn(p, f):
			return nil, true
		default:
			if scope := scopeOf(f); !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes, false
}

// itsOwn tells whether a fault is of the command's own client, device, tenant or lane.
func itsOwn(p, f history.Event) bool {
	if f.Lane != "" {
		return f.Lane == p.Lane
	}
	return f.Tenant == p.Tenant && (f.Client == "" || f.Client == p.Client) && (f.Device == "" || f.Device == p.Device)
}

func scopeOf(f history.Event) Scope {
	switch {
	case f.Lane != "":
		return OneLane
	case f.Client != "":
		return OneClient
	case f.Device != "":
		return OneDevice
	}
	return OneTenant
}

func percentile(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)*99+99)/100-1]
}

// contained is I8: a fault in one client, device, tenant or lane leaves the others alone.
func contained(events []history.Event) (found []Violation) {
	figures := Bulkheads(events)
	for _, scope := range slices.Sorted(maps.Keys(figures)) {
		b := figures[scope]
		if !b.Enough() || b.During <= max(besideFactor*b.Calm, besideFloor) {
			continue
		}
		found = append(found, Violation{Invariant: "I8", Text: fmt.Sprintf(
			"beside faults of another %s the 99th percentile of %d commands was %s, in calm of %d commands %s",
			scope, b.DuringCount, b.During, b.CalmCount, b.Calm)})
	}
	return found
}
