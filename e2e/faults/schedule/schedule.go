// Package schedule draws a plan of faults from a seed: what is broken, when, how, and for
// how long. The same seed gives the same plan.
package schedule

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Action is what is done to a target.
type Action string

// The actions. Each is undone after the fault's time.
const (
	// Kill is SIGKILL; the process is started again.
	Kill Action = "kill"
	// Pause is SIGSTOP, then SIGCONT.
	Pause Action = "pause"
	// End is SIGTERM; the process is started again once it has ended.
	End Action = "end"
	// CutLink closes connections once, RefuseLink keeps them closed, HalfOpenLink forwards
	// nothing, SlowLink delays, TrickleLink lets one byte a second through.
	CutLink      Action = "cut"
	RefuseLink   Action = "refuse"
	HalfOpenLink Action = "half-open"
	SlowLink     Action = "slow"
	TrickleLink  Action = "trickle"
)

// Class groups targets that are broken in the same ways.
type Class int

// The classes of targets.
const (
	// Process is a service or an agent.
	Process Class = iota
	// Wire is a link between a process and what it depends on.
	Wire
	// Server is a broker of one node, or the database: it takes seconds to come back.
	Server
	// Node is one of a cluster.
	Node
	// Anchor is a node that others need to find each other: it is only paused.
	Anchor
)

// Target is something that can be broken.
type Target struct {
	Name  string
	Class Class
}

// Fault is one entry of a plan.
type Fault struct {
	Target string
	Action Action
	// At counts from the plan's beginning; For is how long the fault lasts.
	At, For time.Duration
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
	// long is a pause past the broker's heartbeat of 10 s and every timeout of the load.
	long = 22 * time.Second
	// serverShare is one fault in how many that breaks a server.
	serverShare = 5
)

// Draw makes a plan in which all faults begin before the given time. A target has one fault
// at a time; different targets overlap.
func Draw(seed uint64, targets []Target, total time.Duration) []Fault {
	random := rand.New(rand.NewPCG(seed, 0))
	var servers, others []Target
	for _, t := range targets {
		if t.Class >= Server {
			servers = append(servers, t)
		} else {
			others = append(others, t)
		}
	}
	free := map[string]time.Duration{}
	var plan []Fault
	for at := minGap; at < total; at += minGap + upTo(random, maxGap-minGap) {
		from := others
		if len(servers) > 0 && (len(others) == 0 || random.IntN(serverShare) == 0) {
			from = servers
		}
		target := from[random.IntN(len(from))]
		fault := draw(random, target)
		fault.At = at
		if free[target.Name] > at {
			continue // still broken, or just healed
		}
		pause := rest
		if target.Class >= Server {
			pause = serverRest
		}
		free[target.Name] = at + fault.For + pause
		plan = append(plan, fault)
	}
	return plan
}

// draw chooses how a target is broken, and for how long.
func draw(random *rand.Rand, target Target) Fault {
	f := Fault{Target: target.Name}
	switch target.Class {
	case Process:
		f.Action = []Action{Kill, Kill, Pause, Pause, End}[random.IntN(5)]
		f.For = 100*time.Millisecond + upTo(random, 4*time.Second)
		if f.Action == Pause && random.IntN(3) == 0 {
			f.For = long
		}
	case Wire:
		f.Action = []Action{CutLink, CutLink, RefuseLink, HalfOpenLink, SlowLink, TrickleLink}[random.IntN(6)]
		f.For = 500*time.Millisecond + upTo(random, 8*time.Second)
		if f.Action == HalfOpenLink && random.IntN(3) == 0 {
			f.For = long
		}
	case Server:
		f.Action = []Action{Kill, End}[random.IntN(2)]
		f.For = 200*time.Millisecond + upTo(random, 4*time.Second)
	case Node:
		f.Action = []Action{Kill, End, Pause}[random.IntN(3)]
		f.For = time.Second + upTo(random, long)
	case Anchor:
		f.Action = Pause
		f.For = time.Second + upTo(random, long)
	}
	f.For = f.For.Round(time.Millisecond)
	return f
}

func upTo(random *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(limit)))
}
