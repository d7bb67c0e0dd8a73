package rates

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/limits"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClientAndDeviceAreLimitedApart(t *testing.T) {
	t.Parallel()
	if _, ok := (Commands{}).Take(time.Now(), "t", "c", "d", 1); !ok {
		t.Error("no limits limit")
	}
	c := Commands{Clients: limits.New(1, 10, 10), Devices: limits.New(1, 4, 10)}
	now := time.Now()
	for device, want := range map[string]bool{"lamp-1": true, "lamp-2": true} {
		if _, ok := c.Take(now, "acme", "web", device, 4); ok != want {
			t.Errorf("%s: %v", device, ok)
		}
	}
	if _, ok := c.Take(now, "acme", "app", "lamp-1", 1); ok {
		t.Error("the device has no more room, whoever sends")
	}
	if _, ok := c.Take(now, "other", "web", "lamp-1", 1); !ok {
		t.Error("another tenant's device of the same name has")
	}
	if _, ok := c.Take(now, "acme", "web", "lamp-3", 4); ok {
		t.Error("the client has sent its ten")
	}
}
