// Package doctor is `cupline doctor`: it looks at an installation and says what to do.
package doctor

import (
	"fmt"
	"strings"
)

// State of what was looked at.
type State string

// The states, from good to bad.
const (
	// OK: as it has to be.
	OK State = "ok"
	// Unknown: it could not be looked at.
	Unknown State = "unknown"
	// Warning: nothing that is promised is broken yet.
	Warning State = "warning"
	// Problem: something that is promised does not hold, or will not.
	Problem State = "problem"
)

// Finding is one thing that was seen.
type Finding struct {
	// Check is the word for what was looked at; it never changes.
	Check string `json:"check"`
	State State  `json:"state"`
	// Subject is the queue, node, service or setting; empty for the whole.
	Subject string `json:"subject,omitempty"`
	Detail  string `json:"detail"`
	// Remedy says what to do; empty only where State is OK.
	Remedy string `json:"remedy,omitempty"`
}

// The checks, in the order in which they are told.
const (
	Database      = "database"
	Migrations    = "migrations"
	Encoding      = "encoding"
	Durability    = "durability"
	Replication   = "replication"
	Broker        = "broker"
	Cluster       = "cluster"
	Alarms        = "alarms"
	Topology      = "topology"
	Foreign       = "foreign bindings"
	Limits        = "limits"
	AtLeastOnce   = "at-least-once"
	DeadLetters   = "dead letters"
	Consumers     = "consumers"
	Slots         = "slots"
	ConsumerLimit = "consumer timeout"
	Clocks        = "clocks"
	Services      = "services"
)

var order = []string{
	Database, Migrations, Encoding, Durability, Replication, Broker, Cluster, Alarms, Topology, Foreign, Limits,
	AtLeastOnce, DeadLetters, Consumers, Slots, ConsumerLimit, Clocks, Services,
}

// chart is what an examination found.
type chart struct{ found []Finding }

func (c *chart) add(f Finding) { c.found = append(c.found, f) }

func (c *chart) bad(check, subject, detail, remedy string) {
	c.add(Finding{Check: check, State: Problem, Subject: subject, Detail: detail, Remedy: remedy})
}

func (c *chart) warn(check, subject, detail, remedy string) {
	c.add(Finding{Check: check, State: Warning, Subject: subject, Detail: detail, Remedy: remedy})
}

func (c *chart) unknown(check, detail, remedy string) {
	c.add(Finding{Check: check, State: Unknown, Detail: detail, Remedy: remedy})
}

// fine says that a check found all as it has to be, unless it found something else.
func (c *chart) fine(check, format string, values ...any) {
	for _, f := range c.found {
		if f.Check == check {
			return
		}
	}
	c.add(Finding{Check: check, State: OK, Detail: fmt.Sprintf(format, values...)})
}

// sorted is every finding, in the order of the checks.
func (c *chart) sorted() []Finding {
	all := make([]Finding, 0, len(c.found))
	for _, check := range order {
		for _, f := range c.found {
			if f.Check == check {
				all = append(all, f)
			}
		}
	}
	return all
}

func (c *chart) count(state State) (n int) {
	for _, f := range c.found {
		if f.State == state {
			n++
		}
	}
	return n
}

// write is the findings for people.
func write(w *strings.Builder, found []Finding) {
	for _, f := range found {
		subject := ""
		if f.Subject != "" {
			subject = f.Subject + ": "
		}
		fmt.Fprintf(w, "%-8s %-16s  %s%s\n", f.State, f.Check, subject, f.Detail)
		if f.Remedy != "" {
			fmt.Fprintf(w, "%27s-> %s\n", "", f.Remedy)
		}
	}
}
