package device

import (
	"strings"
	"testing"
)

// Every topic and key of a device names its tenant in the same place.
func TestEveryTopicNamesItsTenant(t *testing.T) {
	t.Parallel()
	for _, key := range []string{CommandsKey("acme", "lamp-1", "d"), RepliesKey("acme", "lamp-1", "d"), EventsKey("acme", "lamp-1", "on")} {
		if words := strings.Split(key, "."); words[0] != "devices" || words[1] != "acme" || words[2] != "lamp-1" {
			t.Errorf("%s", key)
		}
	}
}
