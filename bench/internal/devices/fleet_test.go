package devices

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/cupline/cupline/schema/device"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // devices need a broker
	}
	goleak.VerifyTestMain(m)
}

func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run this under make test, or start a testbed as CONTRIBUTING.md says", name)
	}
	return value
}

// Every device answers what a dispatcher sends it, and nobody else's, however few connections they share.
func TestFleetAnswers(t *testing.T) {
	t.Parallel()
	broker, err := url.Parse(setting(t, "CUPLINE_TEST_AMQP_URL"))
	if err != nil {
		t.Fatal(err)
	}
	ch := channel(t, broker.String())
	password, _ := broker.User.Password()
	for _, connections := range []int{1, 3} {
		// A tenant and a dispatcher of its own: the MQTT listener serves one virtual host, which tests share.
		tenant, dispatcher := fmt.Sprintf("bench-%d-%d", os.Getpid(), connections), fmt.Sprintf("fleet-%d-%d", os.Getpid(), connections)
		answers := listen(t, ch, dispatcher)
		cfg := Config{
			Address: setting(t, "CUPLINE_TEST_MQTT_ADDR"), User: broker.User.Username(), Password: password,
			Tenant: tenant, Connections: connections,
		}
		for i := range 150 {
			cfg.IDs = append(cfg.IDs, fmt.Sprintf("d-%d", i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		fleet, err := Connect(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, id := range cfg.IDs {
			want[device.RepliesKey(tenant, id, dispatcher)] = fmt.Sprintf(`{"jsonrpc":"2.0","id":"c-%s","result":{"on":true}}`, id)
			send(t, ch, device.CommandsKey(tenant, id, dispatcher), fmt.Sprintf(`{"jsonrpc":"2.0","id":"c-%s","method":"relay.set"}`, id))
		}
		send(t, ch, device.CommandsKey(tenant, "d-1", dispatcher), `{"no":"request"}`)
		for len(want) > 0 {
			select {
			case d := <-answers:
				if want[d.RoutingKey] != string(d.Body) {
					t.Fatalf("on %s: %s", d.RoutingKey, d.Body)
				}
				delete(want, d.RoutingKey)
			case <-ctx.Done():
				t.Fatalf("%d of 150 answers are missing", len(want))
			}
		}
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFleetIsRefused(t *testing.T) {
	t.Parallel()
	cfg := Config{Address: setting(t, "CUPLINE_TEST_MQTT_ADDR"), User: "nobody", Password: "wrong", Tenant: "bench", IDs: []string{"d"}, Connections: 1}
	if _, err := Connect(t.Context(), cfg); err == nil {
		t.Error("a wrong password was taken")
	}
	cfg.Connections = 2
	if _, err := Connect(t.Context(), cfg); err == nil {
		t.Error("more connections than devices were taken")
	}
}

func channel(t *testing.T, broker string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(broker)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func listen(t *testing.T, ch *amqp.Channel, dispatcher string) <-chan amqp.Delivery {
	t.Helper()
	q, err := ch.QueueDeclare("", false, false, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(q.Name, "devices.*.*.replies."+dispatcher, "amq.topic", false, nil); err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return deliveries
}

func send(t *testing.T, ch *amqp.Channel, key, body string) {
	t.Helper()
	message := amqp.Publishing{Headers: amqp.Table{"x-mqtt-publish-qos": int8(0)}, Body: []byte(body)}
	if err := ch.PublishWithContext(t.Context(), "amq.topic", key, false, false, message); err != nil {
		t.Fatal(err)
	}
}
