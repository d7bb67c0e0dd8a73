package checker

import (
	"fmt"

	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/verify/history"
)

// redrives reads out of the dead letters which command ids are redrives, and of which commands.
func (b *book) redrives(events []history.Event) {
	var letters []history.Event
	for _, e := range events {
		if e.Kind == history.Letter && e.As != "" {
			letters = append(letters, e)
		}
	}
	// A redrive may have died and been redriven in its turn, in any order of the rows.
	for range letters {
		found := false
		for _, e := range letters {
			c := b.byID[e.CommandID]
			if _, known := b.numbers[e.As]; known || c == nil {
				continue
			}
			b.byID[e.As], b.numbers[e.As], found = c, e.Redrive, true
		}
		if !found {
			return
		}
	}
}

// redriven is what was promised of redrives: each comes to an outcome of its own, none is left
// half-way, and none is of what may have been executed unless the operator said so.
func redriven(b *book, c *command) (found []Violation) {
	for _, l := range c.letters {
		if l.Name == "redriving" {
			found = append(found, c.violation("I4", l.CommandID, "its redrive was begun and never finished")...)
		}
		if l.As == "" {
			continue
		}
		if l.Executed != string(outcome.No) && l.Detail != history.WithMaybe {
			found = append(found, c.violation("I3", l.CommandID, "it may have been executed, and was redriven as %s though the operator did not say so", l.As)...)
		}
		if l.Name == "redriven" && !c.oneWay() && !c.got(l.As) && !c.waits(l.As) {
			found = append(found, c.violation("I1", l.As, "redriven, and no outcome reached the client or its mailbox")...)
		}
	}
	for _, o := range c.outcomes {
		if n := b.numbers[o.CommandID]; n != o.Redrive {
			found = append(found, c.violation("I2", o.CommandID, "its outcome is marked redrive %d, and it is number %d", o.Redrive, n)...)
		}
	}
	return found
}

// waits tells whether an outcome lies in the client's mailbox.
func (c *command) waits(commandID string) bool {
	for _, m := range c.mailbox {
		if m.CommandID == commandID && !m.Delivered {
			return true
		}
	}
	return false
}

// operated is I5 for operators: what they do is refused for no reason that would be theirs, but
// a letter's state (409): another was faster, or it may have been executed.
func operated(b *book) (found []Violation) {
	for _, e := range b.end {
		if e.Kind != history.Action || e.Answer != history.Refused {
			continue
		}
		switch e.Status {
		case 0, 409, 429, 503:
		default:
			found = append(found, Violation{
				Invariant: "I5", Tenant: e.Tenant, Client: e.Client, ID: e.ID, CommandID: e.CommandID,
				Text: fmt.Sprintf("an operator's %s was refused with %d", e.Name, e.Status),
			})
		}
	}
	return found
}
