package topology

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func queue(t *testing.T, in Topology, name string) Queue {
	t.Helper()
	i := slices.IndexFunc(in.Queues, func(q Queue) bool { return q.Name == name })
	if i < 0 {
		t.Fatalf("no queue %s", name)
	}
	return in.Queues[i]
}

// The arguments of DESIGN's table, written out a second time: once declared they cannot be changed.
func TestQueueArguments(t *testing.T) {
	t.Parallel()
	slow := Lane{Name: "slow", MaxTTL: 90 * time.Second, MaxLength: 5000}
	whole := Merge(Whole(slow), Push("0"))
	for name, want := range map[string]map[string]any{
		"cupline.work.slow": {
			"x-queue-type": "quorum", "x-dead-letter-exchange": "cupline.dead", "x-dead-letter-strategy": "at-least-once",
			"x-overflow": "reject-publish", "x-max-length": int64(5000), "x-message-ttl": int64(90_000), "x-delivery-limit": int64(20),
		},
		"cupline.dead":    {"x-queue-type": "quorum", "x-delivery-limit": int64(1_000_000)},
		"cupline.mailbox": {"x-queue-type": "quorum", "x-delivery-limit": int64(1_000_000)},
		"cupline.push.0": {
			"x-queue-type": "quorum", "x-dead-letter-exchange": "cupline.mailbox", "x-dead-letter-strategy": "at-least-once",
			"x-overflow": "reject-publish", "x-message-ttl": int64(10_000), "x-delivery-limit": int64(20),
		},
	} {
		if got := queue(t, whole, name).Arguments; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\ngot  %v\nwant %v", name, got, want)
		}
	}
}

// What every queue and exchange has to obey, whoever declares it.
func TestRules(t *testing.T) {
	t.Parallel()
	whole := Merge(Whole(DefaultLane()), Push("0"), Answers("d-1"), Topology{Queues: []Queue{Lock("0")}})
	exchanges := map[string]Exchange{}
	for _, e := range whole.Exchanges {
		if e.Alternate != "" && exchanges[e.Alternate].Name == "" {
			t.Errorf("exchange %s: its alternate %s has to be declared before it", e.Name, e.Alternate)
		}
		exchanges[e.Name] = e
	}
	if exchanges[CommandsExchange].Alternate != "" {
		t.Error("an alternate exchange on commands would hide a missing lane")
	}
	if exchanges[ClientsExchange].Durable {
		t.Error("the table of connected clients is transient: binding on a durable exchange is slow")
	}
	if !exchanges[DeviceExchange].Predeclared {
		t.Error("amq.topic belongs to the broker")
	}
	queues := map[string]bool{}
	for _, q := range whole.Queues {
		queues[q.Name] = true
		if q.Exclusive {
			continue
		}
		if q.Arguments["x-queue-type"] != "quorum" {
			t.Errorf("queue %s is not a quorum queue", q.Name)
		}
		if limit, ok := q.Arguments["x-delivery-limit"].(int64); !ok || limit < 1 {
			t.Errorf("queue %s: the delivery limit has to be an explicit positive number", q.Name)
		}
		if dlx, has := q.Arguments["x-dead-letter-exchange"].(string); has {
			if exchanges[dlx].Name == "" || q.Arguments["x-dead-letter-strategy"] != "at-least-once" || q.Arguments["x-overflow"] != "reject-publish" {
				t.Errorf("queue %s: at-least-once dead-lettering needs strategy, reject-publish and an exchange", q.Name)
			}
			// From where commands wait they go back to their lane, by their own keys.
			if dlx != CommandsExchange && !slices.ContainsFunc(whole.Bindings, func(b Binding) bool { return b.Source == dlx && b.Key == "#" }) {
				t.Errorf("queue %s: its dead-letter exchange routes nowhere", q.Name)
			}
		}
	}
	for _, b := range whole.Bindings {
		if exchanges[b.Source].Name == "" || b.ToExchange && exchanges[b.Destination].Name == "" || !b.ToExchange && !queues[b.Destination] {
			t.Errorf("binding %+v leads from or to what is not declared", b)
		}
	}
}

func TestBindings(t *testing.T) {
	t.Parallel()
	whole := Merge(Whole(Lane{Name: "slow"}), Answers("d-1"))
	want := []Binding{
		{Source: "cupline.commands", Key: "slow.*.*", Destination: "cupline.work.slow"},
		{Source: "cupline.dead", Key: "#", Destination: "cupline.dead"},
		{Source: "cupline.parked", Key: "#", Destination: "cupline.parked"},
		{Source: "cupline.mailbox", Key: "#", Destination: "cupline.mailbox"},
		{Source: "cupline.replies", Key: "#", Destination: "cupline.clients", ToExchange: true},
		{Source: "amq.topic", Key: "devices.*.*.replies.d-1", Destination: "cupline.answers.d-1"},
	}
	if !slices.Equal(whole.Bindings, want) {
		t.Errorf("got %+v", whole.Bindings)
	}
	if got := Client("0", "acme", "shop"); got != (Binding{Source: "cupline.clients", Key: "acme.shop", Destination: "cupline.push.0"}) {
		t.Errorf("got %+v", got)
	}
}

func TestMergeKeepsOneOfEach(t *testing.T) {
	t.Parallel()
	once := Whole(DefaultLane())
	twice := Merge(once, once)
	if fmt.Sprint(once) != fmt.Sprint(twice) {
		t.Errorf("got %+v", twice)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "A-Z_9@", "-", strings.Repeat("x", MaxIDLength)} {
		if !ValidID(id) || CheckID("lane", id) != nil {
			t.Errorf("%q was refused", id)
		}
	}
	for _, id := range []string{"", strings.Repeat("x", MaxIDLength+1), "a.b", "a/b", "a:b", "a*", "#", "+", "a b", "é", "a\x00", "\xff", "a\n"} {
		if ValidID(id) || CheckID("lane", id) == nil {
			t.Errorf("%q was taken", id)
		}
	}
	if err := CheckID("device", strings.Repeat("x", 1<<20)); len(err.Error()) > 300 {
		t.Error("an error that repeats a megabyte")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	lane, tenant, device, ok := ParseCommandKey(CommandKey("slow", "acme", "lamp-1"))
	if !ok || lane != "slow" || tenant != "acme" || device != "lamp-1" {
		t.Errorf("%s %s %s %v", lane, tenant, device, ok)
	}
	for _, key := range []string{"", ".", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c#", "a.*.c"} {
		if _, _, _, ok := ParseCommandKey(key); ok {
			t.Errorf("command key %q was taken", key)
		}
	}
	tenant, client, ok := ParseReplyKey(ReplyKey("acme", "shop@1"))
	if !ok || tenant != "acme" || client != "shop@1" {
		t.Errorf("%s %s %v", tenant, client, ok)
	}
	for _, key := range []string{"", "acme", "acme.", ".shop", "acme.a.b", "acme.#"} {
		if _, _, ok := ParseReplyKey(key); ok {
			t.Errorf("reply key %q was taken", key)
		}
	}
}

// FuzzKeys: what a key parser takes is exactly what its writer writes.
func FuzzKeys(f *testing.F) {
	f.Add("default.acme.lamp-1")
	f.Add("acme.shop@1")
	f.Add("a.b.c.d")
	f.Fuzz(func(t *testing.T, key string) {
		if lane, tenant, device, ok := ParseCommandKey(key); ok && CommandKey(lane, tenant, device) != key {
			t.Fatalf("%q is read as %s %s %s", key, lane, tenant, device)
		}
		if tenant, client, ok := ParseReplyKey(key); ok && ReplyKey(tenant, client) != key {
			t.Fatalf("%q is read as %s %s", key, tenant, client)
		}
	})
}

func TestLane(t *testing.T) {
	t.Parallel()
	if err := DefaultLane().Check(); err != nil {
		t.Error(err)
	}
	bad := Lane{Name: "a.b", MaxTTL: time.Millisecond, MaxLength: 0, Tenants: []string{"x y"}}
	if err := bad.Check(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("four problems: %v", err)
	}
	high := Lane{Name: "x", MaxTTL: MaxLaneTTL + 1, MaxLength: MaxLaneLength + 1}
	if err := high.Check(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two problems: %v", err)
	}
	open, closed := DefaultLane(), Lane{Tenants: []string{"acme"}}
	if !open.Allows("any") || !closed.Allows("acme") || closed.Allows("evil") {
		t.Error("a lane is for the tenants it names, or for all")
	}
}

func BenchmarkParseCommandKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, ok := ParseCommandKey("default.acme.lamp-1"); !ok {
			b.Fatal("refused")
		}
	}
}
