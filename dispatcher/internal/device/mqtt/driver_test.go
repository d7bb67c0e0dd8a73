package mqtt_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/dispatcher/internal/device/devicetest"
	"github.com/cupline/cupline/dispatcher/internal/device/mqtt"
	"github.com/cupline/cupline/dispatcher/internal/device/mqtttest"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/dispatcher/internal/feed"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs a broker
	}
	goleak.VerifyTestMain(m)
}

// bench is a driver on a virtual host of its own.
type bench struct {
	broker    *brokertest.Broker
	driver    *mqtt.Driver
	publishes *linktest.Proxy // the link that requests go out on
	answers   *linktest.Proxy // the link that answers come in on
	consuming *broker.Link
	registry  *prometheus.Registry
}

func newBench(t *testing.T, dispatcher string) *bench {
	t.Helper()
	b := &bench{broker: brokertest.New(t), registry: prometheus.NewRegistry()}
	b.publishes, b.answers = b.broker.Proxy(t), b.broker.Proxy(t)
	link := func(name string, p *linktest.Proxy) *broker.Link {
		cfg := b.broker.Config(t, name)
		cfg.URL = b.broker.ProxyURL(p)
		return broker.NewLink(cfg)
	}
	publishing := link("publish", b.publishes)
	b.consuming = link("consume", b.answers)
	publisher := broker.NewPublisher(publishing, broker.PublisherConfig{})
	metrics, err := mqtt.NewMetrics(b.registry)
	if err != nil {
		t.Fatal(err)
	}
	b.driver = mqtt.New(mqtt.Config{
		Dispatcher: dispatcher, Publisher: publisher, Publishing: publishing, Answers: b.consuming, Metrics: metrics,
	})
	feed.ConsumeAnswers(b.consuming, dispatcher, b.driver.Answer)
	brokertest.Start(t, publishing)
	brokertest.Start(t, b.consuming)
	return b
}

func (b *bench) ignored(t *testing.T) float64 {
	t.Helper()
	return gathered(t, b.registry, "cupline_answers_ignored_total")
}

func gathered(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

func call(id string, left time.Duration) *dispatch.Call {
	ends := time.Now().Add(left)
	return &dispatch.Call{
		Target: dispatch.Target{Tenant: "acme", Device: "lamp-1"}, ID: id, MaxAnswer: 1 << 10,
		Request: []byte(`{"jsonrpc":"2.0","id":"` + id + `","method":"m"}`),
		Left:    func() time.Duration { return time.Until(ends) },
	}
}

func result(id string) []byte { return []byte(`{"jsonrpc":"2.0","id":"` + id + `","result":1}`) }

func TestConformance(t *testing.T) {
	t.Parallel()
	devicetest.Run(t, func(t *testing.T) *devicetest.Subject {
		b := newBench(t, "worker-1")
		d := mqtttest.New(t, b.broker, "acme", "lamp-1")
		return &devicetest.Subject{
			Driver: b.driver, Target: dispatch.Target{Tenant: "acme", Device: "lamp-1"},
			Behave: d.Behave, Leave: d.Leave,
		}
	})
}

// TestOnlyTheDeviceItselfCanAnswer has others try: another device, another tenant's, one
// of another dispatcher's topics, and an id that is not in flight.
func TestOnlyTheDeviceItselfCanAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, "worker-1")
	lamp := mqtttest.New(t, b.broker, "acme", "lamp-1")
	other := mqtttest.New(t, b.broker, "acme", "lamp-2")
	const id = "0190-1"
	lamp.Behave(func(_ []byte, answer func([]byte)) {
		for _, topic := range []string{
			"devices/acme/lamp-2/replies/worker-1",
			"devices/evil/lamp-1/replies/worker-1",
			"devices/acme/lamp-1/replies/worker-2",
		} {
			other.Publish(t, topic, []byte(`{"jsonrpc":"2.0","id":"`+id+`","result":"forged"}`))
		}
		other.Publish(t, "devices/acme/lamp-1/replies/worker-1", result("0190-2"))
		brokertest.Eventually(t, "three of them arrive, and are ignored", func() bool { return b.ignored(t) == 3 })
		answer(result(id))
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	response, err := b.driver.Execute(ctx, call(id, time.Minute))
	if err != nil || string(response.Body) != string(result(id)) {
		t.Errorf("the call came to %s, %v", response.Body, err)
	}
}

// TestWhatIsSent looks at the message itself: what the broker keeps of it is what makes
// presence, QoS 0 and the end of its time work.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	b := newBench(t, "worker-1")
	b.broker.Declare(t, topology.Topology{
		Queues:   []topology.Queue{{Name: "tap", Arguments: map[string]any{"x-queue-type": "quorum"}}},
		Bindings: []topology.Binding{{Source: topology.DeviceExchange, Key: "devices.#", Destination: "tap"}},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.driver.Execute(ctx, call("0190-1", time.Minute))
		ended <- err
	}()
	m := b.broker.Get(t, "tap")
	cancel()
	if err := <-ended; err == nil {
		t.Error("a call that nobody answered has an answer")
	}
	qos, isInt8 := m.Headers["x-mqtt-publish-qos"].(int8)
	if m.Key != device.CommandsKey("acme", "lamp-1", "worker-1") || !isInt8 || qos != 0 || !m.Transient ||
		m.Expiration <= 0 || m.Expiration > time.Minute || string(m.Body) != string(call("0190-1", 0).Request) {
		t.Errorf("the broker has %+v, body %s", m, m.Body)
	}
}

// TestCallOutlivesItsLinks cuts both links while a device is busy with a call. Its answer
// comes when they are back, and counts.
func TestCallOutlivesItsLinks(t *testing.T) {
	t.Parallel()
	b := newBench(t, "worker-1")
	lamp := mqtttest.New(t, b.broker, "acme", "lamp-1")
	arrived, proceed := make(chan struct{}), make(chan struct{})
	lamp.Behave(func(_ []byte, answer func([]byte)) {
		close(arrived)
		<-proceed
		answer(result("0190-1"))
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	type ending struct {
		response jsonrpc.Response
		err      error
	}
	ended := make(chan ending, 1)
	go func() {
		response, err := b.driver.Execute(ctx, call("0190-1", time.Minute))
		ended <- ending{response, err}
	}()
	<-arrived
	generation := b.consuming.Status().Generation
	b.publishes.Cut()
	b.answers.Cut()
	brokertest.Eventually(t, "the link is up again", func() bool {
		return b.consuming.Status().Generation > generation && b.consuming.Ready() == nil
	})
	close(proceed)
	if end := <-ended; end.err != nil || string(end.response.Body) != string(result("0190-1")) {
		t.Errorf("the call came to %s, %v", end.response.Body, end.err)
	}
	if n := lamp.Requests(); n != 1 {
		t.Errorf("the device got %d requests", n)
	}
}

// TestDeviceThatRebootsBeforeItsAck loses its connection as soon as a request arrives, and
// comes back to the session in which it would be sent again at QoS 1.
func TestDeviceThatRebootsBeforeItsAck(t *testing.T) {
	t.Parallel()
	b := newBench(t, "worker-1")
	way := b.broker.MQTTProxy(t)
	lamp := mqtttest.NewKept(t, b.broker, way.Addr(), "acme", "lamp-1")
	arrived := make(chan struct{})
	lamp.Behave(func([]byte, func([]byte)) {
		way.Cut()
		close(arrived)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.driver.Execute(ctx, call("0190-1", time.Minute))
		ended <- err
	}()
	<-arrived
	rebooted := mqtttest.NewKept(t, b.broker, way.Addr(), "acme", "lamp-1")
	rebooted.Behave(func(_ []byte, answer func([]byte)) { answer(result("0190-2")) })
	if _, err := b.driver.Execute(t.Context(), call("0190-2", time.Minute)); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("the first call has an answer")
	}
	if first, second := lamp.Requests(), rebooted.Requests(); first != 1 || second != 1 {
		t.Errorf("%d requests arrived before the reboot and %d after it, want one each", first, second)
	}
}

// TestAnswerWithoutItsQueueIsLost: the queue goes with its link, and nothing keeps what
// comes meanwhile. The call ends honestly.
func TestAnswerWithoutItsQueueIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t, "worker-1")
	lamp := mqtttest.New(t, b.broker, "acme", "lamp-1")
	b.broker.Declare(t, topology.Topology{
		Queues:   []topology.Queue{{Name: "tap", Arguments: map[string]any{"x-queue-type": "quorum"}}},
		Bindings: []topology.Binding{{Source: topology.DeviceExchange, Key: "devices.acme.lamp-1.replies.worker-1", Destination: "tap"}},
	})
	lamp.Behave(func(_ []byte, answer func([]byte)) {
		b.answers.Refuse()
		brokertest.Eventually(t, "the queue is gone", func() bool {
			return !b.broker.QueueExists(t, topology.AnswersQueue("worker-1"))
		})
		answer(result("0190-1"))
		b.broker.Get(t, "tap") // the broker has led it to where it could: the queue must not be back before
		b.answers.Heal()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := b.driver.Execute(ctx, call("0190-1", 3*time.Second))
	var failure *dispatch.Failure
	if !errors.As(err, &failure) || failure.Reason != outcome.NoAnswer {
		t.Errorf("%v, want no_answer", err)
	}
}

// TestNothingIsSentWithoutAQueueForTheAnswer keeps the answers' link away.
func TestNothingIsSentWithoutAQueueForTheAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, "worker-1")
	lamp := mqtttest.New(t, b.broker, "acme", "lamp-1")
	lamp.Behave(func(_ []byte, answer func([]byte)) { answer(result("0190-2")) })
	b.answers.Refuse()
	brokertest.Eventually(t, "the link is down", func() bool { return b.consuming.Ready() != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := b.driver.Execute(ctx, call("0190-1", 500*time.Millisecond))
	var failure *dispatch.Failure
	if !errors.As(err, &failure) || failure.Reason != outcome.NoAnswer {
		t.Errorf("%v, want no_answer", err)
	}
	if n := lamp.Requests(); n != 0 {
		t.Fatalf("the device got %d requests", n)
	}
	// The next call waits for the link, and goes through.
	time.AfterFunc(200*time.Millisecond, b.answers.Heal)
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := b.driver.Execute(ctx, call("0190-2", time.Minute)); err != nil {
		t.Error(err)
	}
}

// TestOneCommandIDHasOneCall: a second call of the same id would take the first one's answer.
func TestOneCommandIDHasOneCall(t *testing.T) {
	t.Parallel()
	b := newBench(t, "worker-1")
	lamp := mqtttest.New(t, b.broker, "acme", "lamp-1")
	lamp.Behave(func(_ []byte, answer func([]byte)) {
		_, err := b.driver.Execute(t.Context(), call("0190-1", time.Minute))
		var failure *dispatch.Failure
		if !errors.As(err, &failure) || failure.Reason != outcome.DeviceBusy {
			t.Errorf("the second call: %v", err)
		}
		answer(result("0190-1"))
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := b.driver.Execute(ctx, call("0190-1", time.Minute)); err != nil {
		t.Error(err)
	}
}

func TestEveryStrangeTopicIsIgnored(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := mqtt.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	d := mqtt.New(mqtt.Config{Dispatcher: "worker-1", Metrics: metrics})
	for _, key := range []string{"", "devices", "devices.a.b.replies.worker-2", "devices.a.b.commands.worker-1", "devices.a.b.replies.worker-1.x", "devices.a/b.c.replies.worker-1"} {
		d.Answer(key, []byte("{}"))
	}
	if n := gathered(t, registry, "cupline_answers_ignored_total"); n != 6 {
		t.Errorf("%v of 6 are counted", n)
	}
}
