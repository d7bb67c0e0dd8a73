package livetest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/cli/internal/root"
	"github.com/cupline/cupline/schema/topology"
)

// diagnosis is what `cupline doctor -o json` prints.
type diagnosis struct{ Findings []finding }

type finding struct{ Check, State, Subject, Detail, Remedy string }

// doctor examines, with this machine's clock.
func (s shell) doctor(t *testing.T, args ...string) diagnosis {
	t.Helper()
	return s.doctorAt(t, time.Now, args...)
}

func (s shell) doctorAt(t *testing.T, now func() time.Time, args ...string) diagnosis {
	t.Helper()
	var out, errs bytes.Buffer
	code := root.Run(t.Context(), &console.Console{
		In: strings.NewReader(""), Out: &out, Err: &errs, Now: now, Getenv: func(name string) string { return s[name] },
	}, append([]string{"doctor", "-o", "json"}, args...))
	if code != exit.OK && code != exit.Different {
		t.Fatalf("doctor ends with %d: %s", code, errs.String())
	}
	var d diagnosis
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatalf("doctor prints %s", out.String())
	}
	for _, f := range d.Findings {
		if f.State != "ok" && f.Remedy == "" {
			t.Errorf("no remedy is named for %+v", f)
		}
		if f.State == "problem" && code != exit.Different {
			t.Errorf("doctor ends with %d in spite of %+v", code, f)
		}
	}
	return d
}

// says tells whether there is a finding of that check and state whose subject and detail have the text.
func (d diagnosis) says(check, state, text string) bool {
	for _, f := range d.Findings {
		if f.Check == check && f.State == state && strings.Contains(f.Subject+": "+f.Detail, text) {
			return true
		}
	}
	return false
}

// until examines until the finding is there: the broker's own figures lag.
func (s shell) until(t *testing.T, check, state, text string) {
	t.Helper()
	brokertest.Within(t, 4*time.Minute, "doctor says of "+check+" as "+state+": "+text, func() bool {
		return s.doctor(t).says(check, state, text)
	})
}

// installed is a migrated database and a broker that has all that is declared.
func installed(t *testing.T) (shell, *brokertest.Broker) {
	t.Helper()
	s := migrated(t)
	b := brokertest.New(t)
	s["AMQP_URL"], s["RABBITMQ_MANAGEMENT_URL"] = b.URL(), b.ManagementURL()
	s.check(t, exit.OK, "topology", "apply")
	return s, b
}

// manage changes something through the broker's management API.
func manage(t *testing.T, b *brokertest.Broker, method, path string, body any) {
	t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, b.ManagementURL()+"/api/"+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, path, answer.Status)
	}
}

type policy struct {
	Pattern    string         `json:"pattern"`
	Definition map[string]any `json:"definition"`
	ApplyTo    string         `json:"apply-to"`
}

// TestDoctorFindsWhatPoliciesBreak breaks a real broker by policies, one after the other: each
// is found by its name, and no longer found once it is gone.
func TestDoctorFindsWhatPoliciesBreak(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy
		check, says string
	}{
		"delivery limit": {policy{"^cupline.work.default$", map[string]any{"delivery-limit": 2}, "queues"},
			"limits", "queue cupline.work.default: delivery-limit is 2 by policy \"spoiler\", declared 20"},
		"time-to-live where none belongs": {policy{"^cupline.dead$", map[string]any{"message-ttl": 60000}, "queues"},
			"limits", "queue cupline.dead: message-ttl is 60000 by policy \"spoiler\", declared without"},
		"length where none belongs": {policy{"^cupline.mailbox$", map[string]any{"max-length": 5}, "queues"},
			"limits", "queue cupline.mailbox: max-length is 5"},
		"expiry": {policy{"^cupline.mailbox$", map[string]any{"expires": 86400000}, "queues"},
			"limits", "queue cupline.mailbox: expires after"},
		"at most once": {policy{"^cupline.work.default$", map[string]any{"overflow": "drop-head"}, "queues"},
			"at-least-once", "overflow is drop-head by policy \"spoiler\", must be reject-publish"},
		"another key for dead letters": {policy{"^cupline.work.default$", map[string]any{"dead-letter-routing-key": "x"}, "queues"},
			"at-least-once", "dead-letter-routing-key is x by policy"},
		"alternate of commands": {policy{"^cupline.commands$", map[string]any{"alternate-exchange": "amq.fanout"}, "exchanges"},
			"foreign bindings", "exchange cupline.commands: has the alternate exchange amq.fanout by policy \"spoiler\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b := installed(t)
			if d := s.doctor(t); !d.says(c.check, "ok", "") {
				t.Fatalf("before: %+v", d.Findings)
			}
			path := "policies/" + url.PathEscape(b.Vhost()) + "/spoiler"
			manage(t, b, http.MethodPut, path, c.policy)
			s.until(t, c.check, "problem", c.says)
			manage(t, b, http.MethodDelete, path, nil)
			s.until(t, c.check, "ok", "")
		})
	}
}

func TestDoctorFindsWhatTheTopologyLacks(t *testing.T) {
	t.Parallel()
	s, b := installed(t)
	d := s.doctor(t)
	for _, check := range []string{"migrations", "encoding", "broker", "cluster", "alarms", "topology", "foreign bindings", "limits", "at-least-once", "dead letters", "slots", "consumer timeout", "clocks"} {
		if !d.says(check, "ok", "") {
			t.Errorf("of a new installation doctor says %+v", d.Findings)
		}
	}
	binding := topology.Binding{Source: topology.DeadExchange, Key: "#", Destination: topology.DeadQueue}
	b.Do(t, "unbind", unbind(binding))
	if d := s.doctor(t); !d.says("dead letters", "problem", "binding cupline.dead -> cupline.dead (#): missing: commands that expire") {
		t.Errorf("without a route for dead letters doctor says %+v", d.Findings)
	}
	s.check(t, exit.OK, "topology", "apply")
	spy := topology.Topology{
		Queues:   []topology.Queue{{Name: "spy", Arguments: map[string]any{"x-queue-type": "quorum"}}},
		Bindings: []topology.Binding{{Source: topology.CommandsExchange, Key: "#", Destination: "spy"}, {Source: topology.DeviceExchange, Key: "devices.#", Destination: "spy"}},
	}
	spy.Exchanges = []topology.Exchange{{Name: topology.DeviceExchange, Predeclared: true}}
	b.Declare(t, topology.Commands(), spy)
	if d := s.doctor(t); !d.says("foreign bindings", "problem", "hides a lane") || !d.says("foreign bindings", "problem", "hides a device") {
		t.Errorf("with taps doctor says %+v", d.Findings)
	}
	for _, tap := range spy.Bindings {
		b.Do(t, "unbind", unbind(tap))
	}
	if d := s.doctor(t); !d.says("foreign bindings", "ok", "") || !d.says("dead letters", "ok", "") {
		t.Errorf("after mending doctor says %+v", d.Findings)
	}
}

func unbind(binding topology.Binding) func(context.Context, *broker.Session) error {
	return func(ctx context.Context, s *broker.Session) error { return s.Unbind(ctx, binding) }
}

// of is the findings of these checks, for a test to tell.
func (d diagnosis) of(checks ...string) (found []finding) {
	for _, f := range d.Findings {
		if slices.Contains(checks, f.Check) {
			found = append(found, f)
		}
	}
	return found
}
