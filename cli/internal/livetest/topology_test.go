// Package livetest runs commands against a real broker and a real database.
package livetest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/cli/internal/root"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of this needs a broker and a database
	}
	goleak.VerifyTestMain(m)
}

// shell runs command lines with an environment of their own.
type shell map[string]string

// run returns what was printed and the exit code.
func (s shell) run(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = root.Run(t.Context(), &console.Console{
		In: strings.NewReader(s["STDIN"]), Out: &stdout, Err: &stderr, Getenv: func(name string) string { return s[name] },
	}, args)
	return stdout.String(), stderr.String(), code
}

type report struct {
	Differences []struct{ Kind, What, Name, Detail, Remedy string }
}

func (s shell) check(t *testing.T, want int, args ...string) report {
	t.Helper()
	out, errs, code := s.run(t, append(args, "--output", "json")...)
	if code != want {
		t.Fatalf("%q ends with %d: %s%s", args, code, out, errs)
	}
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%q prints %s", args, out)
	}
	return r
}

func onBroker(b *brokertest.Broker) shell {
	return shell{"AMQP_URL": b.URL(), "RABBITMQ_MANAGEMENT_URL": b.ManagementURL()}
}

func TestApplyMakesAnEmptyBrokerAsDeclared(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	s := onBroker(b)
	whole := topology.Whole(topology.DefaultLane())
	parts := len(whole.Exchanges) + len(whole.Queues) + len(whole.Bindings)
	if r := s.check(t, exit.Different, "topology", "check"); len(r.Differences) != parts {
		t.Errorf("an empty broker lacks %d of %d parts: %+v", len(r.Differences), parts, r)
	}
	s.check(t, exit.OK, "topology", "apply")
	if r := s.check(t, exit.OK, "topology", "check"); len(r.Differences) != 0 {
		t.Errorf("after apply: %+v", r)
	}
	// What apply declares is what services declare.
	b.Do(t, "declare as services do", func(ctx context.Context, session *broker.Session) error {
		drifts, err := session.Declare(ctx, topology.Merge(whole, topology.Push("p-0")))
		if len(drifts) != 0 {
			t.Errorf("services find %v", drifts)
		}
		return err
	})
	if r := s.check(t, exit.OK, "topology", "check"); len(r.Differences) != 0 {
		t.Errorf("with a pusher's queue: %+v", r)
	}
}

func TestChangedQueueIsMadeAnewOnlyWhenEmptyAndUnused(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	s := onBroker(b)
	small := topology.DefaultLane()
	small.MaxLength = 10
	b.Declare(t, topology.Whole(small))
	r := s.check(t, exit.Different, "topology", "check")
	if len(r.Differences) != 1 || !strings.Contains(r.Differences[0].Detail, "x-max-length is 10, declared 1000000") {
		t.Fatalf("found %+v", r)
	}
	// What an installation asks for: told, and no failure.
	if r := s.check(t, exit.OK, "topology", "apply", "--leave-changed"); len(r.Differences) != 1 {
		t.Errorf("apply --leave-changed tells %+v", r)
	}
	if r := s.check(t, exit.Different, "topology", "apply"); len(r.Differences) != 1 {
		t.Errorf("apply without --recreate leaves %+v", r)
	}
	b.Publish(t, message.Message{Exchange: topology.CommandsExchange, Key: "default.acme.lamp-1", Mandatory: true, Body: []byte("{}")})
	if r := s.check(t, exit.Different, "topology", "apply", "--recreate"); len(r.Differences) != 1 {
		t.Errorf("a queue with a message was made anew: %+v", r)
	}
	b.Get(t, topology.WorkQueue("default")) // still there, bound and whole
	// The broker forgets a consumer a moment after it is gone.
	brokertest.Eventually(t, "a queue that nobody uses", func() bool { return b.Consumers(t, topology.WorkQueue("default")) == 0 })
	s.check(t, exit.OK, "topology", "apply", "--recreate")
	b.Publish(t, message.Message{Exchange: topology.CommandsExchange, Key: "default.acme.lamp-1", Mandatory: true, Body: []byte("{}")})
	b.Get(t, topology.WorkQueue("default"))
}

func TestForeignBindingsAreFoundAndLeftAlone(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	s := onBroker(b)
	spy := topology.Topology{
		Exchanges: []topology.Exchange{{Name: topology.DeviceExchange, Predeclared: true}},
		Queues:    []topology.Queue{{Name: "spy", Arguments: map[string]any{"x-queue-type": "quorum"}}},
		Bindings: []topology.Binding{
			{Source: topology.CommandsExchange, Key: "#", Destination: "spy"},
			{Source: topology.DeviceExchange, Key: "devices.#", Destination: "spy"},
			{Source: topology.RepliesExchange, Key: "#", Destination: "spy"},
		},
	}
	b.Declare(t, topology.Whole(topology.DefaultLane()), spy)
	for range 2 {
		r := s.check(t, exit.Different, "topology", "apply")
		if len(r.Differences) != 2 || r.Differences[0].Kind != "foreign" || r.Differences[1].Kind != "foreign" {
			t.Errorf("found %+v", r)
		}
	}
}

func TestWrongManagementAddressSaysSo(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	s := onBroker(b)
	s["RABBITMQ_MANAGEMENT_URL"] = strings.Replace(b.ManagementURL(), "://", "://nobody-", 1)
	if _, errs, code := s.run(t, "topology", "check"); code != exit.Failed || !strings.Contains(errs, "401") {
		t.Errorf("ends with %d: %s", code, errs)
	}
	delete(s, "AMQP_URL")
	if _, errs, code := s.run(t, "topology", "check"); code != exit.Usage || !strings.Contains(errs, "AMQP_URL is not set") {
		t.Errorf("ends with %d: %s", code, errs)
	}
}
