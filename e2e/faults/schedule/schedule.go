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
)

// Target is something that can be broken.
type Target struct {
	Name  string
	Class Class
	// Of is what the target is a part of; the parts of one thing are never broken at the same
	// time. Its own name when empty.
	Of string
}

func (t Target) whole() string {
	if t.Of == "" {
		return t.Name
	}
	return t.Of
}

// Fault is one entry of a plan.
type Fault struct {
	Target string
	Action Action
	// Of is the target's.
	Of string
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
		fault := Fault{
			Target: target.Name, Of: target.whole(), Action: way.action, At: at,
			For: (way.least + upTo(random, way.most-way.least)).Round(time.Millisecond),
		}
		if way.long && random.IntN(3) == 0 {
			fault.For = long
		}
		if way.nth > 0 {
			fault.Nth = 1 + random.IntN(way.nth)
		}
		if free[fault.Of] > at {
			continue // still broken, or just healed
		}
		pause := rest
		if target.Class >= Server {
			pause = serverRest
		}
		free[fault.Of] = at + fault.For + pause
		plan = append(plan, fault)
	}
	return plan
}

// Each makes a plan of every kind of fault once, each on one of its targets. They are for one after the other, each when
// the one before is over; so none says when it begins.
func Each(seed uint64, targets []Target, only []Choice) (plan []Fault) {
	random := rand.New(rand.NewPCG(seed, 0))
	menu := newMenu(targets, only)
	for _, action := range Actions() {
		var ways []way
		var open []Target
		for _, t := range targets {
			for _, w := range menu.ways[t.Name] {
				if w.action == action {
					ways, open = append(ways, w), append(open, t)
				}
			}
		}
		if len(open) == 0 {
			continue
		}
		at := random.IntN(len(open))
		target, way := open[at], ways[at]
		fault := Fault{Target: target.Name, Of: target.whole(), Action: action, For: way.most}
		if way.nth > 0 {
			fault.Nth = 1 + random.IntN(way.nth)
		}
		plan = append(plan, fault)
	}
	return plan
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
