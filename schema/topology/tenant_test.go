package topology

import (
	"strings"
	"testing"
)

// Every key that is published or bound with names its tenant, or is a pattern with exactly one word in that place; only "#",
// which takes all of what an exchange has, says nothing of it.
func TestEveryKeyNamesItsTenant(t *testing.T) {
	t.Parallel()
	place := map[string]int{CommandsExchange: 1, DeviceExchange: 1, RepliesExchange: 0, ClientsExchange: 0}
	check := func(exchange, key, want string) {
		t.Helper()
		at, known := place[exchange]
		words := strings.Split(key, ".")
		if !known || at >= len(words) || words[at] != want {
			t.Errorf("%s: the key %q does not have %q as its tenant", exchange, key, want)
		}
	}
	check(CommandsExchange, CommandKey("slow", "acme", "lamp-1"), "acme")
	check(RepliesExchange, ReplyKey("acme", "shop"), "acme")
	check(ClientsExchange, Client("0", "acme", "shop").Key, "acme")
	bound := 0
	for _, b := range Merge(Whole(DefaultLane()), Answers("d-1")).Bindings {
		if b.Key != "#" {
			bound++
			check(b.Source, b.Key, "*")
		}
	}
	if bound < 2 {
		t.Errorf("the test's own premise: %d bindings with keys", bound)
	}
}
