// Package checker holds the history of a load against the promises of Cupline. Each
// invariant is a pure function of the history.
package checker

import (
	"fmt"
	"slices"
	"time"

	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/verify/history"
)

const (
	// maxCopies of one outcome that a client may get under one command id. Copies come from
	// lost acks, so they are few.
	maxCopies = 10
	// readyLimit is how long a service may take to be ready by itself after healing.
	readyLimit = 30 * time.Second
)

// Violation is a promise that was not held.
type Violation struct {
	// Invariant is I1 to I8.
	Invariant string `json:"invariant"`
	// Tenant, Client, ID and CommandID name the command; empty where it is none's.
	Tenant    string `json:"tenant,omitempty"`
	Client    string `json:"client,omitempty"`
	ID        string `json:"id,omitempty"`
	CommandID string `json:"command_id,omitempty"`
	Text      string `json:"text"`
}

// String is one line for people.
func (v Violation) String() string {
	if v.ID == "" && v.CommandID == "" {
		return fmt.Sprintf("%s: %s", v.Invariant, v.Text)
	}
	return fmt.Sprintf("%s: %s/%s id %s command %s: %s", v.Invariant, v.Tenant, v.Client, v.ID, v.CommandID, v.Text)
}

// Check returns every violation that the history shows.
func Check(events []history.Event) []Violation {
	b := newBook(events)
	var found []Violation
	for _, c := range b.order {
		for _, check := range []func(*book, *command) []Violation{
			oneOutcome, neverTwoOutcomes, neverTwice, onRecord, nothingRefused, onlyOnes, redriven, inTime,
		} {
			found = append(found, check(b, c)...)
		}
	}
	found = append(found, strays(b)...)
	found = append(found, operated(b)...)
	found = append(found, leaks(b)...)
	found = append(found, contained(events)...)
	return append(found, healed(b)...)
}

func (c *command) violation(invariant, commandID, format string, args ...any) []Violation {
	return []Violation{{
		Invariant: invariant, Tenant: c.tenant, Client: c.client, ID: c.id, CommandID: commandID, Text: fmt.Sprintf(format, args...),
	}}
}

// oneOutcome is I1: every accepted command has a terminal outcome, in the client's hands or
// in its mailbox, and nothing stays in flight. Accepted = ended + in flight: the platform, too, accounts for each.
func oneOutcome(b *book, c *command) (found []Violation) {
	for _, row := range c.ledger {
		if !row.Decided {
			found = append(found, c.violation("I1", row.CommandID, "the ledger's row is still open")...)
		}
	}
	if !c.answered(history.Accepted) {
		return found
	}
	accepted := c.posts[0].CommandID
	if c.oneWay() {
		if len(c.ledger) == 0 && len(b.letters[accepted]) == 0 && !b.unseen[history.Letter] {
			found = append(found, c.violation("I1", accepted, "accepted one-way, and neither in the ledger nor a dead letter")...)
		}
		return found
	}
	if len(c.ledger) == 0 && b.kept[c.posts[0].Lane] {
		found = append(found, c.violation("I1", accepted, "accepted, and in no row of the ledger: neither in flight nor ended")...)
	}
	waiting := 0
	for _, m := range c.mailbox {
		if !m.Delivered {
			waiting++
		}
	}
	if len(c.outcomes) == 0 && waiting == 0 {
		detail := "there is no row in the ledger"
		if len(c.ledger) > 0 {
			row := c.ledger[0]
			detail = fmt.Sprintf("the ledger says decided %t, delivered %t, %s %s", row.Decided, row.Delivered, row.Origin, row.Reason)
		}
		found = append(found, c.violation("I1", accepted, "accepted, and no outcome reached the client or its mailbox; %s", detail)...)
	}
	return found
}

// neverTwoOutcomes is I2: never two different outcomes for one command id, nor for one name
// but duplicate_id; copies are identical and few.
func neverTwoOutcomes(_ *book, c *command) (found []Violation) {
	byCommand, byRedrive := map[string]string{}, map[int]string{}
	copies := map[string]int{}
	for _, o := range c.outcomes {
		if first, known := byCommand[o.CommandID]; known && first != o.Response {
			found = append(found, c.violation("I2", o.CommandID, "two outcomes: %s and %s", first, o.Response)...)
		}
		byCommand[o.CommandID] = o.Response
		if copies[o.CommandID]++; copies[o.CommandID] == maxCopies+1 {
			found = append(found, c.violation("I2", o.CommandID, "more than %d copies", maxCopies)...)
		}
		if o.Reason == string(outcome.DuplicateID) {
			continue
		}
		if first, known := byRedrive[o.Redrive]; known && first != o.Response {
			found = append(found, c.violation("I2", o.CommandID, "two outcomes under one id: %s and %s", first, o.Response)...)
		}
		byRedrive[o.Redrive] = o.Response
	}
	return found
}

// neverTwice is I3: a command that is not idempotent was executed at most once, a redrive of it
// once more at most, and none where the outcome says executed: no.
func neverTwice(b *book, c *command) (found []Violation) {
	times := map[int]int{}
	for _, e := range c.executions {
		n := b.numbers[e.CommandID]
		if times[n]++; times[n] == 2 && !c.posts[0].Idempotent {
			found = append(found, c.violation("I3", e.CommandID, "executed 2 times or more as redrive %d", n)...)
		}
	}
	for _, o := range c.outcomes {
		if o.Executed != string(outcome.No) {
			continue
		}
		for _, e := range c.executions {
			// The post that met another's id was not executed; the other may well have been.
			same := b.numbers[e.CommandID] == o.Redrive && o.Reason != string(outcome.DuplicateID)
			if same || e.CommandID == o.CommandID {
				found = append(found, c.violation("I3", o.CommandID, "%s says not executed, and %s executed it as %s", o.Reason, e.Device, e.CommandID)...)
				break
			}
		}
	}
	return found
}

// onRecord is I4: every failure is in the audit trail with its id, stage, reason and time, and its dead letter is
// there once, in one of its states.
func onRecord(b *book, c *command) (found []Violation) {
	failed := map[string]string{}
	for _, row := range c.ledger {
		if row.Reason != "" {
			failed[row.CommandID] = row.Reason
		}
	}
	for _, o := range c.outcomes {
		if o.Reason == string(outcome.DuplicateID) {
			failed[o.CommandID] = o.Reason
		}
	}
	for commandID, reason := range failed {
		letters := b.letters[commandID]
		if n := len(letters); n != 1 && !b.unseen[history.Letter] {
			found = append(found, c.violation("I4", commandID, "failed as %s, and has %d dead letters", reason, n)...)
		}
		for _, l := range letters {
			if !slices.Contains([]string{"open", "redriving", "redriven", "discarded"}, l.Name) {
				found = append(found, c.violation("I4", commandID, "its dead letter is in the state %q, which there is not", l.Name)...)
			}
		}
		if !b.unseen[history.Audit] && !slices.ContainsFunc(b.audits[commandID], func(e history.Event) bool { return c.tells(b, e, reason) }) {
			found = append(found, c.violation("I4", commandID, "failed as %s, and the audit trail does not say so, with id, stage and time", reason)...)
		}
	}
	return found
}

// tells reports that an entry of the audit trail says of the command that it failed for the reason, where, and when.
func (c *command) tells(b *book, e history.Event, reason string) bool {
	named := e.Tenant == c.tenant && e.Client == c.client && (c.oneWay() || e.ID == c.id)
	timely := !e.At.Before(c.posts[0].At.Add(-ownClock)) && !e.At.After(b.last.Add(ownClock))
	return named && timely && e.Reason == reason && e.Name != ""
}

// nothingRefused is I5: no outcome and no execution of what was refused, and a good command
// is refused for no reason that would be the client's.
func nothingRefused(_ *book, c *command) (found []Violation) {
	for _, p := range c.posts {
		if p.Answer == history.Refused && p.Status != 0 && p.Status != 429 && p.Status != 503 {
			found = append(found, c.violation("I5", p.CommandID, "a good command was refused with %d: %s", p.Status, p.Detail)...)
		}
	}
	if c.answered(history.Accepted) || c.answered(history.InDoubt) {
		return found
	}
	if len(c.outcomes) > 0 {
		found = append(found, c.violation("I5", c.outcomes[0].CommandID, "refused, and got an outcome")...)
	}
	if len(c.executions) > 0 {
		found = append(found, c.violation("I5", c.executions[0].CommandID, "refused, and executed")...)
	}
	return found
}

// onlyOnes is I6: what a client gets is its own, and what counts as delivered is what it got.
func onlyOnes(b *book, c *command) (found []Violation) {
	for _, o := range c.outcomes {
		if p := c.posts[0]; o.Device != p.Device || o.Method != p.Method {
			found = append(found, c.violation("I6", o.CommandID, "the outcome is of %s %s, the command of %s %s", o.Device, o.Method, p.Device, p.Method)...)
		}
		if of := b.byID[o.CommandID]; of != nil && of != c {
			found = append(found, c.violation("I6", o.CommandID, "the outcome is that of %s/%s id %s", of.tenant, of.client, of.id)...)
		}
	}
	for _, rows := range [][]history.Event{c.ledger, c.mailbox} {
		for _, row := range rows {
			if row.Delivered && !row.OneWay && !c.got(row.CommandID) {
				found = append(found, c.violation("I6", row.CommandID, "the %s says delivered, and the client never got it", row.Kind)...)
			}
		}
	}
	for _, e := range c.executions {
		if p := c.posts[0]; e.Tenant != c.tenant || e.Device != p.Device {
			found = append(found, c.violation("I6", e.CommandID, "sent to %s, executed by %s of %s", p.Device, e.Device, e.Tenant)...)
		}
	}
	return found
}

// got tells whether the client has had an outcome under the command id.
func (c *command) got(commandID string) bool {
	for _, o := range c.outcomes {
		if o.CommandID == commandID {
			return true
		}
	}
	return false
}
