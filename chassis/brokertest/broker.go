// Package brokertest gives each test a virtual host of its own on a real broker, and the
// means to look into it and to break its links. It is for tests only.
package brokertest

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/linktest"
)

// limit bounds every single thing that a helper waits for.
const limit = time.Minute

// Broker is one virtual host, deleted when the test ends. The helpers fail the test when
// something is wrong; those that take a testing.TB may be given a subtest's.
type Broker struct {
	amqp       *url.URL
	management *url.URL
	mqtt       string
	vhost      string
	tools      *tools
}

// New makes a fresh virtual host. It fails the test when CUPLINE_TEST_AMQP_URL,
// CUPLINE_TEST_MANAGEMENT_URL or CUPLINE_TEST_MQTT_ADDR is unset.
func New(t testing.TB) *Broker {
	t.Helper()
	b := &Broker{
		amqp:       setting(t, "CUPLINE_TEST_AMQP_URL"),
		management: setting(t, "CUPLINE_TEST_MANAGEMENT_URL"),
		mqtt:       variable(t, "CUPLINE_TEST_MQTT_ADDR"),
		vhost:      "test-" + strings.ToLower(rand.Text()[:12]),
	}
	b.amqp.Path = "/" + b.vhost
	b.call(t, http.MethodPut, "/api/vhosts/"+b.vhost, nil, nil)
	t.Cleanup(func() { b.call(t, http.MethodDelete, "/api/vhosts/"+b.vhost, nil, nil) })
	everything := map[string]string{"configure": ".*", "write": ".*", "read": ".*"}
	b.call(t, http.MethodPut, "/api/permissions/"+b.vhost+"/"+b.amqp.User.Username(), everything, nil)
	b.tools = newTools(t, b)
	return b
}

func variable(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: this test needs a broker; run `make test`, or `go run ./local/cmd/testbed -- go test ...`", name)
	}
	return value
}

func setting(t testing.TB, name string) *url.URL {
	t.Helper()
	u, err := url.Parse(variable(t, name))
	if err != nil {
		t.Fatalf("%s is not a URL", name) // the parser's words may show a password
	}
	return u
}

// URL of the virtual host, amqp://.
func (b *Broker) URL() string { return b.amqp.String() }

// Vhost is the virtual host's name.
func (b *Broker) Vhost() string { return b.vhost }

// ManagementURL of the broker, with credentials.
func (b *Broker) ManagementURL() string { return b.management.String() }

// MQTTAddr is host:port of the broker's MQTT listener.
func (b *Broker) MQTTAddr() string { return b.mqtt }

// MQTTLogin is the user name (vhost:user) and password of an MQTT client of this virtual host.
func (b *Broker) MQTTLogin() (username, password string) {
	password, _ = b.amqp.User.Password()
	return b.vhost + ":" + b.amqp.User.Username(), password
}

// Config of a link of that name to this virtual host; it logs to the test.
func (b *Broker) Config(t testing.TB, name string) broker.Config {
	return broker.Config{URL: b.URL(), Name: name, Log: zaptest.NewLogger(t)}
}

// Link is up, and is stopped when the test ends. Publishers and consumers may be made on
// it; wait for their steps with its Wait.
func (b *Broker) Link(t testing.TB, name string) *broker.Link {
	t.Helper()
	link := broker.NewLink(b.Config(t, name))
	Start(t, link)
	return link
}

// Start starts a link, waits until it is up, and stops it when the test ends.
func Start(t testing.TB, link *broker.Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := link.Start(ctx); err != nil {
		t.Fatalf("start a link: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := link.Stop(ctx); err != nil {
			t.Errorf("stop a link: %v", err)
		}
	})
	if err := link.Wait(ctx); err != nil {
		t.Fatalf("wait for a link: %v", err)
	}
}

// Proxy is a way to this broker that can be cut, stalled and healed; ProxyURL leads
// through it.
func (b *Broker) Proxy(t testing.TB) *linktest.Proxy {
	t.Helper()
	return linktest.New(t, b.amqp.Host)
}

// MQTTProxy is the same for MQTT clients; connect to its Addr.
func (b *Broker) MQTTProxy(t testing.TB) *linktest.Proxy {
	t.Helper()
	return linktest.New(t, b.mqtt)
}

// ProxyURL is URL with the proxy's address.
func (b *Broker) ProxyURL(p *linktest.Proxy) string {
	through := *b.amqp
	through.Host = p.Addr()
	return through.String()
}

// Block sends connection.blocked to every client of a proxy, as a broker with an alarm
// does. A real alarm would block every test on the node. Call it while the broker is silent.
func Block(p *linktest.Proxy, reason string) {
	arguments := append([]byte{byte(len(reason))}, reason...)
	p.Inject(connectionFrame(60, arguments))
}

// Unblock sends connection.unblocked.
func Unblock(p *linktest.Proxy) { p.Inject(connectionFrame(61, nil)) }

// connectionFrame is an AMQP method frame of class connection (10) on channel 0.
func connectionFrame(method byte, arguments []byte) []byte {
	frame := []byte{1, 0, 0, 0, 0, 0, byte(4 + len(arguments)), 0, 10, 0, method}
	return append(append(frame, arguments...), 0xCE)
}

// Eventually polls until ok holds, for things of which the broker gives no signal (its
// management, for one, learns of things late), and fails the test after a minute. Wait on a
// signal wherever there is one.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Within(t, limit, what, ok)
}

// Within is Eventually with a limit of its own.
func Within(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	const every = 20 * time.Millisecond
	over := time.After(limit)
	for !ok() {
		select {
		case <-time.After(every):
		case <-over:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
