package brokertest_test

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
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

func TestVirtualHostsAreApart(t *testing.T) {
	t.Parallel()
	one, two := brokertest.New(t), brokertest.New(t)
	dead := topology.Dead()
	one.Declare(t, dead)
	if !one.QueueExists(t, topology.DeadQueue) || two.QueueExists(t, topology.DeadQueue) {
		t.Fatal("the queue is not where it was declared")
	}
	if got := one.Bindings(t, topology.DeadExchange); !slices.Equal(got, dead.Bindings) {
		t.Fatalf("bindings %v", got)
	}
}

func TestGetTouchesOnlyWhatItTakes(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	b.Declare(t, topology.Dead())
	for i := range 3 {
		b.Publish(t, message.Message{Exchange: topology.DeadExchange, Key: "k", ID: fmt.Sprint(i)})
	}
	if got := b.Get(t, topology.DeadQueue); got.ID != "0" {
		t.Fatalf("got %s", got.ID)
	}
	rest := b.GetSome(t, topology.DeadQueue, 2)
	for i, m := range rest {
		if _, again := m.Int("x-delivery-count"); m.ID != fmt.Sprint(i+1) || again {
			t.Fatalf("got %+v", m)
		}
	}
	b.Empty(t, topology.DeadQueue)
}

func TestCutEndsExactlyTheNamedConnection(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	one, two := b.Link(t, "one"), b.Link(t, "two")
	first, other := one.Status().Generation, two.Status().Generation // attempts to connect count, too
	b.Cut(t, "one")
	brokertest.Eventually(t, "one is back", func() bool { return one.Status().Generation > first && one.Status().State == broker.Up })
	if two.Status().Generation != other {
		t.Fatal("two was cut")
	}
	brokertest.Eventually(t, "both are listed", func() bool {
		return slices.Equal(b.Connections(t), []string{"brokertest", "one", "two"})
	})
}

// TestMQTTLogin speaks just enough MQTT 3.1.1 to log in and publish.
func TestMQTTLogin(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	events := topology.Topology{
		Queues:   []topology.Queue{{Name: "events", Arguments: map[string]any{"x-queue-type": "quorum"}}},
		Bindings: []topology.Binding{{Source: topology.DeviceExchange, Key: "devices.#", Destination: "events"}},
	}
	b.Declare(t, events)
	conn, err := net.Dial("tcp", b.MQTTProxy(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	field := func(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }
	packet := func(kind byte, parts ...[]byte) []byte {
		body := slices.Concat(parts...)
		return append([]byte{kind, byte(len(body))}, body...)
	}
	username, password := b.MQTTLogin()
	connect := packet(0x10, field("MQTT"), []byte{4, 0xC2, 0, 60}, field("test"), field(username), field(password))
	publish := packet(0x30, field("devices/demo/lamp"), []byte("on"))
	if _, err := conn.Write(append(connect, publish...)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[3] != 0 {
		t.Fatalf("log-in answered %v, %v", answer, err)
	}
	if got := b.Get(t, "events"); got.Key != "devices.demo.lamp" || string(got.Body) != "on" {
		t.Fatalf("got %+v", got)
	}
}
