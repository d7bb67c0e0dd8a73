package checker

import (
	"fmt"

	"github.com/cupline/cupline/verify/history"
)

// strays are I5 and I6 for what belongs to no command of the client: it is another's, or
// nobody ever sent it.
func strays(b *book) (found []Violation) {
	for _, e := range b.strays {
		v := Violation{Invariant: "I5", Tenant: e.Tenant, Client: e.Client, ID: e.ID, CommandID: e.CommandID}
		owner := b.owners[e.ID]
		switch {
		case e.Kind == history.Execution && e.CommandID != "" && b.lostOneWay(e):
			continue
		case e.Kind == history.Execution:
			v.Text = "a device executed what nobody sent"
		case owner != nil:
			v.Invariant, v.Text = "I6", fmt.Sprintf("the %s is that of %s/%s", e.Kind, owner.tenant, owner.client)
		default:
			v.Text = fmt.Sprintf("the %s is of what was never accepted", e.Kind)
		}
		found = append(found, v)
	}
	return found
}

// lostOneWay tells whether the execution may be of a one-way command in doubt: its client
// was told no command id, and a device that hands no tag back leaves no other trace.
func (b *book) lostOneWay(e history.Event) bool {
	for _, c := range b.order {
		if c.oneWay() && c.answered(history.InDoubt) && c.tenant == e.Tenant && c.posts[0].Device == e.Device && e.Tag == "" {
			return true
		}
	}
	return false
}

// healed is I7: after healing all is drained and ready by itself, and nothing is left over.
func healed(b *book) (found []Violation) {
	say := func(format string, args ...any) {
		found = append(found, Violation{Invariant: "I7", Text: fmt.Sprintf(format, args...)})
	}
	for _, e := range b.end {
		switch e.Kind {
		case history.Queue:
			if e.Count > 0 {
				say("queue %s still holds %d messages", e.Name, e.Count)
			}
			if e.Stuck > 0 {
				say("queue %s holds %d dead letters that the broker cannot pass on", e.Name, e.Stuck)
			}
		case history.Binding:
			say("the binding of %s is left though no client is connected", e.Name)
		case history.Slot:
			say("slot %s is left though its pusher was retired", e.Name)
		case history.Service:
			switch {
			case e.Detail != "":
				say("%s is not ready after healing: %s", e.Name, e.Detail)
			case e.Took > readyLimit:
				say("%s took %s to be ready after healing, more than %s", e.Name, e.Took, readyLimit)
			}
		case history.GaveUp:
			say("client %s/%s was sent away for good: %s", e.Tenant, e.Client, e.Detail)
		}
	}
	return found
}
