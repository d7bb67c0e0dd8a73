package topology

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cupline/cupline/schema/topology"
)

// Kinds of difference.
const (
	// Missing: declared, and not on the broker.
	Missing = "missing"
	// Changed: on the broker with other arguments than declared.
	Changed = "changed"
	// Foreign: a binding that takes copies of commands, and so hides missing lanes and
	// devices: a mandatory publish counts it as a route.
	Foreign = "foreign"
)

// Difference is one thing in which the broker differs from what is declared.
type Difference struct {
	// Kind is Missing, Changed or Foreign.
	Kind string `json:"kind"`
	// What is exchange, queue or binding.
	What   string `json:"what"`
	Name   string `json:"name"`
	Detail string `json:"detail"`
	// Remedy says what to do.
	Remedy string `json:"remedy"`
}

const applyRemedy = "cupline topology apply"

// compare finds every difference, in the order of declaration.
func compare(want topology.Topology, have live) []Difference {
	var found []Difference
	for _, e := range want.Exchanges {
		found = append(found, compareExchange(e, have)...)
	}
	for _, q := range want.Queues {
		found = append(found, compareQueue(q, have, recreateRemedy)...)
	}
	for _, name := range slices.Sorted(maps.Keys(have.queues)) {
		// Pushers declare their own queues; what is there has to be as declared all the same.
		if slot, isPush := strings.CutPrefix(name, topology.PushQueue("")); isPush {
			q := topology.Push(slot).Queues
			found = append(found, compareQueue(q[len(q)-1], have, pushRemedy)...)
		}
	}
	for _, b := range want.Bindings {
		if !have.bindings[b] {
			found = append(found, Difference{Missing, "binding", describe(b), "", applyRemedy})
		}
	}
	return append(found, findForeign(want, have)...)
}

func describe(b topology.Binding) string {
	return fmt.Sprintf("%s -> %s (%s)", b.Source, b.Destination, b.Key)
}

func compareExchange(e topology.Exchange, have live) []Difference {
	is, there := have.exchanges[e.Name]
	if !there {
		remedy := applyRemedy
		if e.Predeclared {
			remedy = "it is the broker's own; is this its virtual host?"
		}
		return []Difference{{Missing, "exchange", e.Name, "", remedy}}
	}
	var details []string
	note := func(what string, is, want any) {
		if fmt.Sprint(is) != fmt.Sprint(want) {
			details = append(details, fmt.Sprintf("%s is %v, declared %v", what, is, want))
		}
	}
	note("type", is.Type, e.Kind)
	note("durable", is.Durable, e.Durable)
	alternate, _ := is.Arguments["alternate-exchange"].(string)
	note("alternate-exchange", quoted(alternate), quoted(e.Alternate))
	if len(details) == 0 {
		return nil
	}
	return []Difference{{Changed, "exchange", e.Name, strings.Join(details, "; "),
		"stop the services, delete the exchange, and apply"}}
}

func quoted(name string) string {
	if name == "" {
		return "none"
	}
	return name
}

// What to do about a queue with other arguments. One of a pusher's slot has bindings that
// only pushers know, and so is never deleted here.
const (
	recreateRemedy = "stop its consumers, let it run empty, then cupline topology apply --recreate"
	pushRemedy     = "stop the pusher of that slot: other pushers drain and delete the queue of a slot that nobody holds"
)

func compareQueue(q topology.Queue, have live, remedy string) []Difference {
	is, there := have.queues[q.Name]
	if !there {
		return []Difference{{Missing, "queue", q.Name, "", applyRemedy}}
	}
	var details []string
	names := map[string]bool{}
	for name := range q.Arguments {
		names[name] = true
	}
	for name := range is.Arguments {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		is, want := argument(is.Arguments, name), argument(q.Arguments, name)
		if is != want {
			details = append(details, fmt.Sprintf("%s is %s, declared %s", name, is, want))
		}
	}
	if is.Durable == q.Exclusive {
		details = append(details, fmt.Sprintf("durable is %t", is.Durable))
	}
	if len(details) == 0 {
		return nil
	}
	details = append(details, fmt.Sprintf("%d messages, %d consumers", is.Messages, is.Consumers))
	return []Difference{{Changed, "queue", q.Name, strings.Join(details, "; "), remedy}}
}

// argument as text: JSON makes a float of every number.
func argument(arguments map[string]any, name string) string {
	switch v := arguments[name].(type) {
	case nil:
		return "not set"
	case float64:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprint(v)
	}
}

// commandTopics is every routing key on which devices hear commands.
var commandTopics = strings.Join([]string{"devices", "*", "*", "commands", "*"}, ".")

func findForeign(want topology.Topology, have live) []Difference {
	declared := map[topology.Binding]bool{}
	for _, b := range want.Bindings {
		declared[b] = true
	}
	var found []Difference
	add := func(b topology.Binding, detail string) {
		found = append(found, Difference{Foreign, "binding", describe(b), detail, "unbind it; taps belong behind " + topology.RepliesExchange})
	}
	for b := range have.bindings {
		switch {
		case declared[b]:
		case b.Source == topology.CommandsExchange:
			add(b, "it counts as a route, and so hides a lane that is missing")
		case b.Source == topology.DeviceExchange && overlap(b.Key, commandTopics) && !ownSubscription(b):
			add(b, "it counts as a route, and so hides a device that is offline")
		}
	}
	slices.SortFunc(found, func(a, b Difference) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// ownSubscription tells whether the binding is a device's MQTT subscription to its own
// topics. The broker's plugin names the queue after the client id, and the client id of a
// device is its log-in name, or begins with it and a slash.
func ownSubscription(b topology.Binding) bool {
	words := strings.Split(b.Key, ".")
	client, isMQTT := strings.CutPrefix(b.Destination, "mqtt-subscription-")
	if b.ToExchange || !isMQTT || len(words) < 3 || !topology.ValidID(words[1]) || !topology.ValidID(words[2]) {
		return false
	}
	client = strings.TrimSuffix(strings.TrimSuffix(client, "qos0"), "qos1")
	login := words[1] + "/" + words[2]
	return client == login || strings.HasPrefix(client, login+"/")
}
