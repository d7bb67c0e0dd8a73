package checker

import (
	"time"

	"github.com/cupline/cupline/verify/history"
)

// name is what a client calls a command: its own id, or for a one-way command, which has
// none, the tag of its body.
type name struct{ tenant, client, id string }

// command is all that the history holds of one name.
type command struct {
	name
	posts      []history.Event
	outcomes   []history.Event
	executions []history.Event
	ledger     []history.Event
	mailbox    []history.Event
	letters    []history.Event
}

// book is the history, looked up by command.
type book struct {
	commands map[name]*command
	order    []*command
	byTag    map[string]*command
	byID     map[string]*command // by command id
	owners   map[string]*command // by the client's own id, whoever used it first
	numbers  map[string]int      // of redrives, by their command ids
	letters  map[string][]history.Event
	audits   map[string][]history.Event
	strays   []history.Event // executions and outcomes of no command that was ever posted
	unseen   map[history.Kind]bool
	kept     map[string]bool // lanes whose ledger is on
	last     time.Time       // that a client did something
	end      []history.Event // queues, bindings, services, listeners
}

func nameOf(e history.Event) name {
	if e.OneWay {
		return name{e.Tenant, e.Client, "one-way " + e.Tag}
	}
	return name{e.Tenant, e.Client, e.ID}
}

func newBook(events []history.Event) *book {
	b := &book{
		commands: map[name]*command{}, byTag: map[string]*command{}, byID: map[string]*command{}, owners: map[string]*command{},
		numbers: map[string]int{},
		letters: map[string][]history.Event{}, audits: map[string][]history.Event{},
		unseen: map[history.Kind]bool{}, kept: map[string]bool{},
	}
	for _, e := range events {
		if e.Kind == history.Post {
			b.post(e)
		}
		if (e.Kind == history.Post || e.Kind == history.Outcome) && e.At.After(b.last) {
			b.last = e.At
		}
	}
	// The ledger tells command ids that no client was ever told: those of posts in doubt.
	for _, e := range events {
		if e.Kind == history.Ledger {
			b.row(e)
		}
	}
	// Dead letters tell more of them: of a post in doubt that met another's id there is no row.
	for _, e := range events {
		if c := b.commands[nameOf(e)]; e.Kind == history.Letter && c != nil && b.byID[e.CommandID] == nil {
			b.byID[e.CommandID] = c
		}
	}
	b.redrives(events)
	for _, e := range events {
		if e.Kind == history.Ledger && e.OneWay && b.numbers[e.CommandID] > 0 {
			b.row(e) // known only now
		}
	}
	for _, e := range events {
		b.rest(e)
	}
	return b
}

func (b *book) post(e history.Event) {
	key := nameOf(e)
	c := b.commands[key]
	if c == nil {
		c = &command{name: key}
		b.commands[key], b.order = c, append(b.order, c)
	}
	c.posts = append(c.posts, e)
	if e.Tag != "" {
		b.byTag[e.Tag] = c
	}
	if e.CommandID != "" {
		b.byID[e.CommandID] = c
	}
	if _, known := b.owners[e.ID]; !known && !e.OneWay {
		b.owners[e.ID] = c
	}
}

func (b *book) row(e history.Event) {
	c := b.commands[name{e.Tenant, e.Client, e.ID}]
	if e.OneWay {
		c = b.byID[e.CommandID]
	}
	if c == nil {
		return // not of this load, or a one-way post in doubt, whose command id nobody knows
	}
	c.ledger = append(c.ledger, e)
	if e.Origin == "device" {
		b.kept[c.posts[0].Lane] = true
	}
	b.byID[e.CommandID] = c
}

func (b *book) rest(e history.Event) {
	switch e.Kind {
	case history.Outcome:
		if c := b.commands[nameOf(e)]; c != nil {
			c.outcomes = append(c.outcomes, e)
		} else {
			b.strays = append(b.strays, e)
		}
	case history.Execution:
		c := b.byTag[e.Tag]
		if c == nil {
			c = b.byID[e.CommandID]
		}
		if c != nil {
			c.executions = append(c.executions, e)
		} else {
			b.strays = append(b.strays, e)
		}
	case history.Mailbox:
		if c := b.commands[name{e.Tenant, e.Client, e.ID}]; c != nil {
			c.mailbox = append(c.mailbox, e)
		} else {
			b.strays = append(b.strays, e)
		}
	case history.Letter:
		b.letters[e.CommandID] = append(b.letters[e.CommandID], e)
		if c := b.byID[e.CommandID]; c != nil {
			c.letters = append(c.letters, e)
		}
	case history.Audit:
		b.audits[e.CommandID] = append(b.audits[e.CommandID], e)
	case history.Unseen:
		b.unseen[history.Kind(e.Name)] = true
	case history.Queue, history.Binding, history.Slot, history.Service, history.GaveUp, history.Action, history.Census:
		b.end = append(b.end, e)
	}
}

// answered tells whether any post of the command got that answer.
func (c *command) answered(answer string) bool {
	for _, p := range c.posts {
		if p.Answer == answer {
			return true
		}
	}
	return false
}

func (c *command) oneWay() bool { return c.posts[0].OneWay }
