package livetest

import (
	"strings"
	"testing"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/cli/internal/exit"
)

func TestTheDemoIsMadeAndMayBeMadeAgain(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	if _, errs, code := s.run(t, "demo"); code != exit.Usage || !strings.Contains(errs, "CUPLINE_MQTT_PASSWORD is not set") {
		t.Errorf("without a password it ends with %d: %s", code, errs)
	}
	s["RABBITMQ_MANAGEMENT_URL"], s["CUPLINE_MQTT_PASSWORD"] = brokertest.New(t).ManagementURL(), "secret"
	for range 2 {
		if out, errs, code := s.run(t, "demo"); code != exit.OK || !strings.Contains(errs, "demo/host") {
			t.Fatalf("demo ends with %d: %s%s", code, out, errs)
		}
	}
	if out, errs, code := s.run(t, "keys", "create", "--database", "--tenant", "demo", "--client", "me"); code != exit.OK {
		t.Errorf("a key for the demo's tenant ends with %d: %s%s", code, out, errs)
	}
	if _, errs, code := s.run(t, "keys", "create", "--database", "--tenant", "demo", "--client", "me", "--kubernetes-secret", "key"); code != exit.Usage ||
		!strings.Contains(errs, "this is no pod") {
		t.Errorf("a Secret outside a cluster ends with %d: %s", code, errs)
	}
}
