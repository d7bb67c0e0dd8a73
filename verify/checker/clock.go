package checker

import (
	"time"

	"github.com/cupline/cupline/schema/outcome"
)

const (
	// ownClock is what a client's own clock may be wrong by.
	ownClock = 10 * time.Minute
	// early is what an expiry may come early by, as clients measure it.
	early = 5 * time.Second
)

// inTime is I5 for time-to-live: it is what was asked for, and a command expires after it, not
// before: a clock that is wrong changes no outcome.
func inTime(_ *book, c *command) (found []Violation) {
	for _, p := range c.posts {
		if p.TTL == 0 || p.Expires.IsZero() {
			continue
		}
		if off := p.Expires.Sub(p.At) - p.TTL; off.Abs() > ownClock {
			found = append(found, c.violation("I5", p.CommandID, "its time-to-live is wrong by %s", off.Round(time.Second))...)
		}
		for _, o := range c.outcomes {
			if after := o.At.Sub(p.At); o.CommandID == p.CommandID && o.Reason == string(outcome.Expired) && after < p.TTL-early {
				found = append(found, c.violation("I5", p.CommandID, "it expired after %s, and was to live %s", after, p.TTL)...)
			}
		}
	}
	return found
}
