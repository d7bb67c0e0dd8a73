package device

import (
	"strings"
	"testing"

	"github.com/cupline/cupline/schema/topology"
)

// FuzzTopics: a topic is refused, or made of ids, and reads back the same.
func FuzzTopics(f *testing.F) {
	for _, text := range []string{
		"", "devices.acme.lamp-1.replies.d-1", "devices/acme/lamp-1/commands/d-1", "devices..x.replies.", "devices.a.b.replies.c.d",
		"devices/+/#/commands/+", "devices.acme.lamp-1.replies.\x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if tenant, device, dispatcher, ok := ParseRepliesKey(text); ok {
			if RepliesKey(tenant, device, dispatcher) != text || !topology.ValidID(tenant) || !topology.ValidID(device) || !topology.ValidID(dispatcher) {
				t.Errorf("%q is taken for %q %q %q", text, tenant, device, dispatcher)
			}
		}
		if answer, ok := AnswerTopic(text); ok && (strings.Count(answer, "/") != 4 || len(answer) != len(text)-1) {
			t.Errorf("%q is answered at %q", text, answer)
		}
	})
}
