package app

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/schema/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDefaults(t *testing.T) {
	t.Parallel()
	var s Settings
	if err := settings.Load(&s, []string{"AMQP_URL=amqp://x", "DATABASE_URL=postgres://x"}); err != nil {
		t.Fatal(err)
	}
	if s.Concurrency != 256 || !s.has(RoleWork) || !s.has(RoleRecord) || len(s.Lanes) != 1 || s.Lanes[0] != topology.DefaultLane().Name ||
		s.TenantLimit != 0 || s.MaxAnswer != 256<<10 || s.NoopDriver || s.Drain != 20*time.Second {
		t.Errorf("%+v", s)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	var s Settings
	err := settings.Load(&s, []string{
		"AMQP_URL=amqp://x", "DATABASE_URL=postgres://x", "CUPLINE_CONCURRENCY=0", "CUPLINE_DEVICE_LIMIT=0", "CUPLINE_TENANT_LIMIT=-1",
		"CUPLINE_MAX_ANSWER=1", "CUPLINE_RECORDER_PREFETCH=0", "CUPLINE_LEDGER_CONNECTIONS=9", "CUPLINE_DATABASE_CONNECTIONS=1",
		"CUPLINE_DRAIN=-1s", "CUPLINE_ROLES=work,sleep", "CUPLINE_LANES=a,a,b.c", "CUPLINE_HTTP_ALLOWED_NETWORKS=everywhere",
	})
	for _, word := range []string{
		"CONCURRENCY", "DEVICE_LIMIT", "TENANT_LIMIT", "MAX_ANSWER", "RECORDER_PREFETCH", "LEDGER_CONNECTIONS", "DATABASE_CONNECTIONS",
		"DRAIN", `"sleep"`, `"a" twice`, `"b.c"`, "ALLOWED_NETWORKS",
	} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not speak of %s", err, word)
		}
	}
}

func TestTheReferenceCanBePrinted(t *testing.T) {
	t.Parallel()
	table, err := settings.Markdown(Settings{})
	if err != nil || !strings.Contains(table, "CUPLINE_LOG_LEVEL") {
		t.Errorf("%s, %v", table, err)
	}
}

func TestDispatcherIDsAreValidAndDiffer(t *testing.T) {
	t.Parallel()
	if a, b := newDispatcherID(), newDispatcherID(); a == b || !topology.ValidID(a) {
		t.Errorf("%q, %q", a, b)
	}
	for _, host := range []string{"", "node.example.com", strings.Repeat("x", 300), "häuschen", "a/b+c#"} {
		if id := identify(host, "0123456789abcdef"); !topology.ValidID(id) || !strings.HasSuffix(id, "0123456789abcdef") {
			t.Errorf("%q gives %q", host, id)
		}
	}
}
