// Package schedule draws a plan of faults from a seed: what is broken, when, how, and for
// how long. The same seed gives the same plan.
package schedule

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Class groups targets that are broken in the same ways.
type Class int

// The classes of targets.
const (
	// Process is a service or an agent.
	Process Class = iota
	// Wire is a link between a process and what it depends on.
	Wire
	// Outside is a link to clients, or to or from a device.
	Outside
	// Tenant is all that belongs to one, Lane all dispatchers of one.
	Tenant
	Lane
	// Point is a named moment in a process's work.
	Point
	// Database and Broker are the inside of one that runs, Disk is that of the database's tables, Log that of its
	// write-ahead log.
	Database
	Disk
	Log
	Broker
	// Server is a broker of one node, or the database: it takes seconds to come back.
	Server
	// Node is one of a cluster, Network what is between them.
	Node
	Network
	// Cluster is all nodes together.
	Cluster
	// Fleet is all services together.
	Fleet
)

// Target is something that can be broken.
type Target struct {
	Name  string
	Class Class
	// Of is what the target is a part of; the parts of one thing are never broken at the same
	// time. Its own name when empty.
	Of string
	// Kind is what the target has in common with its like: "api" of api-0 and api-1. Its own name when empty.
	Kind string
}

func (t Target) whole() string {
	if t.Of == "" {
		return t.Name
	}
	return t.Of
}

func (t Target) kind() string {
	if t.Kind == "" {
		return t.Name
	}
	return t.Kind
}

// rest is what the target gets between two faults.
func (t Target) rest() time.Duration {
	if t.Class >= Server {
		return serverRest
	}
	return rest
}

// Fault is one entry of a plan.
type Fault struct {
	Target string
	Action Action
	// Of and Kind are the target's.
	Of, Kind string
	// At counts from the plan's beginning; For is how long the fault lasts.
	At, For time.Duration
	// Nth time that something happens is when the fault comes; 0 is at once.
	Nth int
}

// String is one line for people.
func (f Fault) String() string {
	return fmt.Sprintf("at %s: %s %s for %s", f.At, f.Action, f.Target, f.For)
}

const (
	// minGap and maxGap are between the beginnings of two faults, so several are mixed.
	minGap, maxGap = 700 * time.Millisecond, 3500 * time.Millisecond
	// rest is what a target gets between two faults, and a server, whose start takes long.
	rest, serverRest = 3 * time.Second, 15 * time.Second
)

// Draw makes a plan in which all faults begin before the given time. A target has one fault
// at a time; different targets overlap. only leaves out every other fault; nil leaves out none.
func Draw(seed uint64, targets []Target, total time.Duration, only []Choice) []Fault {
	random := rand.New(rand.NewPCG(seed, 0))
	menu := newMenu(targets, only)
	if len(menu.classes) == 0 {
		return nil
	}
	free := map[string]time.Duration{}
	var plan []Fault
	for at := minGap; at < total; at += minGap + upTo(random, maxGap-minGap) {
		target, way := menu.draw(random)
		if free[target.whole()] > at {
			continue // still broken, or just healed
		}
		fault := way.fault(random, target, at)
		free[fault.Of] = at + fault.For + target.rest()
		plan = append(plan, fault)
	}
	return plan
}

// fault breaks a target in this way at some time.
func (w way) fault(random *rand.Rand, target Target, at time.Duration) Fault {
	f := Fault{
		Target: target.Name, Of: target.whole(), Kind: target.kind(), Action: w.action, At: at,
		For: (w.least + upTo(random, w.most-w.least)).Round(time.Millisecond),
	}
	if w.long && random.IntN(3) == 0 {
		f.For = long
	}
	if w.nth > 0 {
		f.Nth = 1 + random.IntN(w.nth)
	}
	return f
}

// menu is what can be drawn: of each class its targets, and of each target its ways.
type menu struct {
	classes []Class
	shares  int
	targets map[Class][]Target
	ways    map[string][]way // by target's name
}

func newMenu(targets []Target, only []Choice) *menu {
	m := &menu{targets: map[Class][]Target{}, ways: map[string][]way{}}
	for _, t := range targets {
		var open []way
		for _, w := range ways()[t.Class] {
			if chosen(only, t, w.action) {
				open = append(open, w)
			}
		}
		if len(open) == 0 {
			continue
		}
		if len(m.targets[t.Class]) == 0 {
			m.classes = append(m.classes, t.Class)
			m.shares += shares()[t.Class]
		}
		m.targets[t.Class] = append(m.targets[t.Class], t)
		m.ways[t.Name] = open
	}
	return m
}

// draw chooses a class by its share, one of its targets, and one of the ways to break it.
func (m *menu) draw(random *rand.Rand) (Target, way) {
	share := random.IntN(m.shares)
	class := m.classes[0]
	for _, class = range m.classes {
		if share -= shares()[class]; share < 0 {
			break
		}
	}
	target := m.targets[class][random.IntN(len(m.targets[class]))]
	open := m.ways[target.Name]
	weights := 0
	for _, w := range open {
		weights += w.weight
	}
	weight := random.IntN(weights)
	for _, w := range open {
		if weight -= w.weight; weight < 0 {
			return target, w
		}
	}
	return target, open[0]
}

func upTo(random *rand.Rand, limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return time.Duration(random.Int64N(int64(limit)))
}
