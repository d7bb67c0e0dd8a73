package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/schema/topology"
)

func load(t *testing.T, environ ...string) (Settings, error) {
	t.Helper()
	var s Settings
	err := settings.Load(&s, append([]string{"AMQP_URL=amqp://b/", "DATABASE_URL=postgres://d/"}, environ...))
	return s, err
}

func TestDefaultsAreTheContract(t *testing.T) {
	t.Parallel()
	s, err := load(t, "CUPLINE_SLOT=slot-0")
	if err != nil {
		t.Fatal(err)
	}
	if s.Window != 64 || s.WindowBytes != 256<<10 || s.Unacked != 5*time.Second || s.AckTimeout != 30*time.Second ||
		s.Hello != 10*time.Second || s.Ping != 25*time.Second || s.Reconnect != time.Minute || s.SlotFree != 10*time.Minute ||
		s.MailboxOutcomes != 10_000 || s.MailboxBytes != 64<<20 || len(s.Origin) != 0 {
		t.Fatalf("got %+v", s)
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load(t, "CUPLINE_SLOT=a.b", "CUPLINE_WINDOW=0", "CUPLINE_PREFETCH=1", "CUPLINE_UNACKED=1m", "CUPLINE_ORIGINS=example.com",
		"CUPLINE_DRAIN=31m", "CUPLINE_MAX_CONNECTIONS=2000000", "CUPLINE_FRAME_RATE=-1", "CUPLINE_FAILED_LOGINS=NaN", "CUPLINE_TRUSTED_PROXIES=10.0.0.1")
	if err == nil {
		t.Fatal("no problem found")
	}
	for _, want := range []string{
		"CUPLINE_SLOT", "CUPLINE_WINDOW is 0: must be 1 to 1024", "CUPLINE_PREFETCH", "CUPLINE_ACK_TIMEOUT must be longer", `CUPLINE_ORIGINS has "example.com"`,
		"CUPLINE_DRAIN is 31m0s", "CUPLINE_MAX_CONNECTIONS", "CUPLINE_FRAME_RATE", "CUPLINE_FAILED_LOGINS", "CUPLINE_TRUSTED_PROXIES",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
}

func TestSlotOfHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"cupline-pusher-3": "cupline-pusher-3", "pusher-0.pusher.ns.svc": "pusher-0"} {
		if got := slotOf(host, nil); got != want || !topology.ValidID(got) {
			t.Errorf("%s: got %q", host, got)
		}
	}
	if got := slotOf("", errors.New("no name")); got != "" {
		t.Errorf("got %q", got)
	}
}
