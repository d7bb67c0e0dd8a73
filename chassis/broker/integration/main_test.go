package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("short: the tests that need a broker are not run")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// limit bounds each thing that is waited for: long enough for a machine that stands still now and then.
const limit = time.Minute

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// quorum is a queue like those in use, bound to a topic exchange by its own name.
func quorum(name string, more map[string]any) topology.Topology {
	arguments := map[string]any{"x-queue-type": "quorum", "x-delivery-limit": int64(20)}
	for k, v := range more {
		arguments[k] = v
	}
	return topology.Topology{
		Exchanges: []topology.Exchange{{Name: "in", Kind: topology.Topic, Durable: true}},
		Queues:    []topology.Queue{{Name: name, Arguments: arguments}},
		Bindings:  []topology.Binding{{Source: "in", Key: name, Destination: name}},
	}
}

func to(queue, id string) message.Message {
	return message.Message{Exchange: "in", Key: queue, ID: id, Mandatory: true, Body: []byte("body of " + id)}
}

// declaring registers the step that declares a topology.
func declaring(link *broker.Link, t topology.Topology) {
	link.OnUp("declare", func(ctx context.Context, s *broker.Session) error {
		_, err := s.Declare(ctx, t)
		return err
	})
}

// stopAtEnd starts a link without waiting for it.
func stopAtEnd(t testing.TB, link *broker.Link) {
	t.Helper()
	if err := link.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := link.Stop(within(t)); err != nil {
			t.Error(err)
		}
	})
}

// receive waits for one value.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-from:
		if !ok {
			t.Fatalf("%s: closed", what)
		}
		return v
	case <-time.After(limit):
		t.Fatalf("%s: nothing came", what)
	}
	panic("unreachable")
}

func closed(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(limit):
		t.Fatalf("%s did not happen", what)
	}
}

// waitFor waits for a status by its signal.
func waitFor(t testing.TB, link *broker.Link, what string, holds func(broker.Status) bool) {
	t.Helper()
	over := time.After(limit)
	for {
		changed := link.Changed()
		if holds(link.Status()) {
			return
		}
		select {
		case <-changed:
		case <-over:
			t.Fatalf("not %s: %+v", what, link.Status())
		}
	}
}
