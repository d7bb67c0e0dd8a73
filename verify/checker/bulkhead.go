package checker

import (
	"fmt"
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

// Beside compares the commands of those who have nothing to do with a fault of one client,
// device or tenant with the same ones in calm: fast commands of clients that are online.
type Beside struct {
	// Calm and During are the 99th percentiles from the post to the outcome, of so many commands.
	Calm, During           time.Duration
	CalmCount, DuringCount int
}

// Bulkheads reads the figures out of a history. A fault that is of everybody counts for neither.
func Bulkheads(events []history.Event) Beside {
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
	var calm, during []time.Duration
	seen := map[string]bool{}
	for _, e := range events {
		key := e.Tenant + "/" + e.ID
		p, posted := posts[key]
		if e.Kind != history.Outcome || seen[key] || !posted || repeated[key] || p.Answer != history.Accepted ||
			e.Client != "online" || e.Redrive > 0 || e.Origin != "device" || !strings.HasPrefix(p.Method, "fast") {
			continue
		}
		seen[key] = true
		switch where(p, e.At, faults) {
		case inCalm:
			calm = append(calm, e.At.Sub(p.At))
		case beside:
			during = append(during, e.At.Sub(p.At))
		}
	}
	return Beside{percentile(calm), percentile(during), len(calm), len(during)}
}

type place int

const (
	elsewhere place = iota
	inCalm
	beside
)

// where a command stands to the faults that there were while it was under way.
func where(p history.Event, end time.Time, faults []history.Event) place {
	at := inCalm
	for _, f := range faults {
		from, to := f.At, f.At.Add(f.Took)
		switch {
		case end.Before(from) || p.At.After(to.Add(aftermath)):
		case f.Tenant == "" || p.At.After(to):
			return elsewhere // of everybody; or just over
		case f.Tenant == p.Tenant && (f.Client == "" || f.Client == p.Client) && (f.Device == "" || f.Device == p.Device):
			return elsewhere // its own
		default:
			at = beside
		}
	}
	return at
}

func percentile(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)*99+99)/100-1]
}

// contained is I8: a fault in one client, device or tenant leaves the others alone.
func contained(events []history.Event) []Violation {
	b := Bulkheads(events)
	if b.CalmCount < besideLeast || b.DuringCount < besideLeast || b.During <= max(besideFactor*b.Calm, besideFloor) {
		return nil
	}
	return []Violation{{Invariant: "I8", Text: fmt.Sprintf(
		"beside faults of others the 99th percentile of %d commands was %s, in calm of %d commands %s", b.DuringCount, b.During, b.CalmCount, b.Calm)}}
}
