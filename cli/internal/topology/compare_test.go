package topology

import (
	"strings"
	"testing"

	"github.com/cupline/cupline/schema/topology"
)

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		{"#", true},
		{"devices.#", true},
		{"#.commands.*", true},
		{"*.acme.*.commands.*", true},
		{"devices.acme.lamp-1.commands.*", true},
		{"devices.acme.lamp-1.commands.d-1", true},
		{"devices.acme.lamp-1.#", true},
		{"#.d-1", true},
		{"devices.*.*.replies.d-1", false},
		{"devices.*.*.commands", false},
		{"devices.*.*.commands.*.*", false},
		{"events.#", false},
		{"", false},
		{"*", false},
	} {
		if overlap(c.pattern, commandTopics) != c.want || overlap(commandTopics, c.pattern) != c.want {
			t.Errorf("%q overlaps: %t", c.pattern, !c.want)
		}
	}
}

// asDeclared is a broker that has just what is declared.
func asDeclared(want topology.Topology) live {
	l := live{exchanges: map[string]liveExchange{}, queues: map[string]liveQueue{}, bindings: map[topology.Binding]bool{}}
	for _, e := range want.Exchanges {
		is := liveExchange{Name: e.Name, Type: string(e.Kind), Durable: e.Durable}
		if e.Alternate != "" {
			is.Arguments = map[string]any{"alternate-exchange": e.Alternate}
		}
		l.exchanges[e.Name] = is
	}
	for _, q := range want.Queues {
		arguments := map[string]any{}
		for name, value := range q.Arguments {
			if n, isNumber := value.(int64); isNumber {
				value = float64(n) // as JSON has it
			}
			arguments[name] = value
		}
		l.queues[q.Name] = liveQueue{Name: q.Name, Durable: true, Arguments: arguments}
	}
	for _, b := range want.Bindings {
		l.bindings[b] = true
	}
	return l
}

func TestCompareFindsEachKindOfDifference(t *testing.T) {
	t.Parallel()
	want := topology.Whole(topology.DefaultLane())
	work := topology.WorkQueue("default")
	for name, c := range map[string]struct {
		spoil func(*live)
		kind  string
		says  string
	}{
		"nothing":          {func(*live) {}, "", ""},
		"missing exchange": {func(l *live) { delete(l.exchanges, topology.ClientsExchange) }, Missing, topology.ClientsExchange},
		"missing queue":    {func(l *live) { delete(l.queues, work) }, Missing, work},
		"missing binding": {func(l *live) {
			delete(l.bindings, topology.Binding{Source: topology.RepliesExchange, Key: "#", Destination: topology.ClientsExchange, ToExchange: true})
		}, Missing, "cupline.replies -> cupline.clients (#)"},
		"exchange type": {func(l *live) {
			l.exchanges[topology.RepliesExchange] = liveExchange{Type: "fanout", Durable: true}
		}, Changed, "type is fanout, declared topic; alternate-exchange is none, declared cupline.mailbox"},
		"alternate on commands": {func(l *live) {
			l.exchanges[topology.CommandsExchange] = liveExchange{Type: "topic", Durable: true, Arguments: map[string]any{"alternate-exchange": "x"}}
		}, Changed, "alternate-exchange is x, declared none"},
		"queue argument":      {func(l *live) { l.queues[work].Arguments["x-max-length"] = float64(5) }, Changed, "x-max-length is 5, declared 1000000"},
		"queue argument gone": {func(l *live) { delete(l.queues[work].Arguments, "x-delivery-limit") }, Changed, "x-delivery-limit is not set, declared 20"},
		"queue argument more": {func(l *live) { l.queues[work].Arguments["x-expires"] = float64(1000) }, Changed, "x-expires is 1000, declared not set"},
		"push queue": {func(l *live) {
			l.queues["cupline.push.p-0"] = liveQueue{Durable: true, Arguments: map[string]any{"x-queue-type": "quorum"}}
		}, Changed, "x-message-ttl is not set, declared 10000"},
		"tap of commands": {func(l *live) {
			l.bindings[topology.Binding{Source: topology.CommandsExchange, Key: "#", Destination: "spy"}] = true
		}, Foreign, "hides a lane"},
		"lane nobody configured": {func(l *live) {
			l.bindings[topology.Binding{Source: topology.CommandsExchange, Key: "old.*.*", Destination: "cupline.work.old"}] = true
		}, Foreign, "cupline.work.old"},
		"tap of devices": {func(l *live) {
			l.bindings[topology.Binding{Source: topology.DeviceExchange, Key: "devices.#", Destination: "spy"}] = true
		}, Foreign, "hides a device"},
		"tap to an exchange": {func(l *live) {
			l.bindings[topology.Binding{Source: topology.DeviceExchange, Key: "#", Destination: "spy", ToExchange: true}] = true
		}, Foreign, "hides a device"},
		"MQTT client on another's topic": {func(l *live) {
			l.bindings[topology.Binding{Source: topology.DeviceExchange, Key: "devices.acme.lamp-1.commands.*", Destination: "mqtt-subscription-acme/lamp-2qos0"}] = true
		}, Foreign, "hides a device"},
		"MQTT client on all topics": {func(l *live) {
			l.bindings[topology.Binding{Source: topology.DeviceExchange, Key: "devices.*.*.commands.*", Destination: "mqtt-subscription-*/*qos0"}] = true
		}, Foreign, "hides a device"},
		"a device's own": {func(l *live) {
			for _, client := range []string{"acme/lamp-1", "acme/lamp-1/spare"} {
				l.bindings[topology.Binding{Source: topology.DeviceExchange, Key: "devices.acme.lamp-1.commands.*", Destination: "mqtt-subscription-" + client + "qos0"}] = true
			}
		}, "", ""},
		"a dispatcher's answers, a tap of replies": {func(l *live) {
			l.bindings[topology.Binding{Source: topology.DeviceExchange, Key: "devices.*.*.replies.d-1", Destination: "cupline.answers.d-1"}] = true
			l.bindings[topology.Binding{Source: topology.RepliesExchange, Key: "#", Destination: "tap"}] = true
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			have := asDeclared(want)
			c.spoil(&have)
			found := compare(want, have)
			if c.kind == "" {
				if len(found) != 0 {
					t.Errorf("found %+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Kind != c.kind || found[0].Remedy == "" || !strings.Contains(found[0].Name+" "+found[0].Detail, c.says) {
				t.Errorf("found %+v", found)
			}
		})
	}
}
