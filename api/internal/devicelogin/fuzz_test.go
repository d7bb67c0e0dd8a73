package devicelogin

import (
	"strings"
	"testing"
)

// FuzzRules: whatever names the broker brings, a device gets what is below its own name, and nothing else.
func FuzzRules(f *testing.F) {
	f.Add("acme/lamp-1", "acme/lamp-1", "devices.acme.lamp-1.commands.*", "mqtt-subscription-acme/lamp-1qos0")
	f.Add("acme/lamp-1", "acme/lamp-1/x", "devices.acme.lamp-1.replies.d", "mqtt-subscription-acme/lamp-1/xqos0")
	f.Add("acme/lamp-1/", "acme/lamp-1//", "devices.acme.lamp-1/.events.a", "mqtt-subscription-acme/lamp-1//qos0")
	f.Add("/", "/", "devices....#", "mqtt-subscription-/qos0")
	f.Add("a\n/b", "a\n/b/*", "devices.a\n.b.events.\x00", "amq.topic")
	f.Fuzz(func(t *testing.T, login, clientID, key, name string) {
		own := "devices." + strings.Replace(login, "/", ".", 1) + "."
		if topicAllowed(login, clientID, "amq.topic", "read", key) && !strings.HasPrefix(key, own+"commands.") {
			t.Errorf("%q as %q hears %q", login, clientID, key)
		}
		if topicAllowed(login, clientID, "amq.topic", "write", key) &&
			!strings.HasPrefix(key, own+"replies.") && !strings.HasPrefix(key, own+"events.") || strings.ContainsAny(key, "*#") && topicAllowed(login, clientID, "amq.topic", "write", key) {
			t.Errorf("%q as %q says %q", login, clientID, key)
		}
		if resourceAllowed(login, clientID, "queue", name, "read") && !strings.HasPrefix(name, "mqtt-subscription-"+login) {
			t.Errorf("%q as %q reads %q", login, clientID, name)
		}
	})
}
