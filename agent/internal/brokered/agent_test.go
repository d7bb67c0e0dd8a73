// Package brokered_test runs the whole agent against a real MQTT listener.
package brokered_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/agent/internal/app"
	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of this needs a broker
	}
	goleak.VerifyTestMain(m)
}

const dispatcher = "d-1"

// bench is an agent on a virtual host of its own, and what a dispatcher would have there.
type bench struct {
	broker    *brokertest.Broker
	publisher *broker.Publisher
	answers   chan string
	proxy     *linktest.Proxy
	// stop ends the agent and waits for it.
	stop func()
}

func start(t *testing.T, change func(*app.Settings)) *bench {
	t.Helper()
	b := &bench{broker: brokertest.New(t), answers: make(chan string, 64)}
	b.proxy = linktest.New(t, b.broker.MQTTAddr())
	publishing := broker.NewLink(b.broker.Config(t, "dispatcher"))
	b.publisher = broker.NewPublisher(publishing, broker.PublisherConfig{Name: "commands"})
	consuming := broker.NewLink(b.broker.Config(t, "answers"))
	consuming.OnUp("declare", func(ctx context.Context, s *broker.Session) error {
		_, err := s.Declare(ctx, topology.Answers(dispatcher))
		return err
	})
	broker.NewConsumer(consuming, broker.ConsumerConfig{
		Queue: topology.AnswersQueue(dispatcher), Prefetch: 64,
		Handle: func(_ context.Context, d *broker.Delivery) {
			b.answers <- string(d.Body)
			d.Ack()
		},
	})
	for _, link := range []*broker.Link{publishing, consuming} {
		if err := link.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = link.Stop(context.Background()) })
		if err := link.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.run(t, change)
	return b
}

// tenant differs from test to test: MQTT client ids are one name space for the whole broker,
// all virtual hosts together, and a second client of a name takes over the session of the first.
func (b *bench) tenant() string { return b.broker.Vhost() }

func (b *bench) run(t *testing.T, change func(*app.Settings)) {
	t.Helper()
	settings := app.Settings{
		URL: "tcp://" + b.proxy.Addr(), Tenant: b.tenant(), Device: "lamp-1", State: t.TempDir(), Concurrency: 8,
		TestMethods: true, Grace: 100 * time.Millisecond,
	}
	settings.Username, settings.Password = b.broker.MQTTLogin()
	if change != nil {
		change(&settings)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := app.Run(ctx, settings, zaptest.NewLogger(t)); err != nil {
			t.Errorf("the agent ended: %v", err)
		}
	}()
	b.stop = func() { cancel(); <-ended }
	t.Cleanup(b.stop)
	b.present(t)
}

// send publishes a command as a dispatcher does.
func (b *bench) send(t *testing.T, body string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return b.publisher.Publish(ctx, message.Message{
		Exchange: topology.DeviceExchange, Key: device.CommandsKey(b.tenant(), "lamp-1", dispatcher),
		Mandatory: true, Transient: true, Expiration: 10 * time.Second,
		Headers: map[string]any{"x-mqtt-publish-qos": int8(0)}, Body: []byte(body),
	})
}

// present waits until the broker has a route to the device, and its answer shows that it listens.
func (b *bench) present(t *testing.T) {
	t.Helper()
	brokertest.Eventually(t, "the device's presence", func() bool {
		return b.send(t, `{"jsonrpc":"2.0","id":"hello","method":"echo"}`) == nil
	})
	b.until(t, `"hello"`)
}

// until passes over other answers: what was not acked in time is sent again.
func (b *bench) until(t *testing.T, part string) string {
	t.Helper()
	for {
		if answer := b.answer(t); strings.Contains(answer, part) {
			return answer
		}
	}
}

func (b *bench) answer(t *testing.T) string {
	t.Helper()
	select {
	case answer := <-b.answers:
		return answer
	case <-time.After(time.Minute):
		t.Fatal("no answer came")
		return ""
	}
}

// call passes over what answers another command: a copy of an answer may come after the next one was asked for.
func (b *bench) call(t *testing.T, body string) string {
	t.Helper()
	if err := b.send(t, body); err != nil {
		t.Fatalf("send %s: %v", body, err)
	}
	var request struct{ ID json.RawMessage }
	if err := json.Unmarshal([]byte(body), &request); err != nil {
		t.Fatal(err)
	}
	return b.until(t, `"id":`+string(request.ID)+`,`)
}

func TestCommandOverMQTTIsAnswered(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	if got, want := b.call(t, `{"jsonrpc":"2.0","id":"c-1","method":"echo","params":{"on":true}}`), `{"jsonrpc":"2.0","id":"c-1","result":{"on":true}}`; got != want {
		t.Errorf("got %s", got)
	}
	var load struct {
		Result struct{ Load1 *float64 }
	}
	if got := b.call(t, `{"jsonrpc":"2.0","id":"c-2","method":"host.load"}`); json.Unmarshal([]byte(got), &load) != nil || load.Result.Load1 == nil {
		t.Errorf("host.load answers %s", got)
	}
	if got := b.call(t, `{"jsonrpc":"2.0","id":"c-3","method":"relay.set","params":{"on":true}}`); !strings.Contains(got, `{"on":true,"executions":1,"command_executions":1}`) {
		t.Errorf("relay.set answers %s", got)
	}
}

func TestStoppedAgentIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	if err := b.send(t, `{"jsonrpc":"2.0","id":"c-1","method":"sleep","params":{"seconds":600}}`); err != nil {
		t.Fatal(err)
	}
	// The sleep is under way once a later command was answered.
	b.call(t, `{"jsonrpc":"2.0","id":"c-2","method":"echo"}`)
	b.stop()
	if err := b.send(t, `{"jsonrpc":"2.0","id":"c-3","method":"echo"}`); !errors.Is(err, broker.ErrUnroutable) {
		t.Errorf("a command for a stopped agent: %v", err)
	}
	if got := b.answer(t); !strings.Contains(got, `"c-1"`) || !strings.Contains(got, "the agent is stopping") {
		t.Errorf("the command that ran was answered %s", got)
	}
}

func TestAgentComesBackAndSendsWhatItOwes(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	if err := b.send(t, `{"jsonrpc":"2.0","id":"c-1","method":"test.late","params":{"seconds":5}}`); err != nil {
		t.Fatal(err)
	}
	// It runs, and for longer than a busy machine takes until the connection is cut.
	b.call(t, `{"jsonrpc":"2.0","id":"c-2","method":"echo"}`)
	b.proxy.Cut()
	b.until(t, `"c-1"`)
	b.present(t)
	if err := b.send(t, `{"jsonrpc":"2.0","id":"c-3","method":"relay.get","params":{"command_id":"c-1"}}`); err != nil {
		t.Fatal(err)
	}
	if got := b.until(t, `"c-3"`); !strings.Contains(got, `"command_executions":1`) {
		t.Errorf("the command was executed otherwise than once: %s", got)
	}
}

func TestMisbehaviourReachesTheWire(t *testing.T) {
	t.Parallel()
	b := start(t, nil)
	if err := b.send(t, `{"jsonrpc":"2.0","id":"c-1","method":"test.never"}`); err != nil {
		t.Fatal(err)
	}
	if first, second := b.call(t, `{"jsonrpc":"2.0","id":"c-2","method":"test.twice"}`), b.answer(t); !strings.Contains(first, "first") || !strings.Contains(second, "second") {
		t.Errorf("twice answers %s and %s", first, second)
	}
	if got := b.call(t, `{"jsonrpc":"2.0","id":"c-3","method":"test.huge","params":{"bytes":2000000}}`); len(got) < 2_000_000 {
		t.Errorf("huge answers %d bytes", len(got))
	}
}

func TestTestMethodsAreOffUnlessAsked(t *testing.T) {
	t.Parallel()
	b := start(t, func(s *app.Settings) { s.TestMethods = false })
	if got := b.call(t, `{"jsonrpc":"2.0","id":"c-1","method":"test.twice"}`); !strings.Contains(got, "-32601") {
		t.Errorf("got %s", got)
	}
}
