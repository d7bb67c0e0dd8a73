// Package brokertest gives each test a virtual host of its own on a real broker.
package brokertest

import (
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// Broker is one virtual host, deleted when the test ends.
type Broker struct{}

// New makes a fresh virtual host. It fails the test when CUPLINE_TEST_AMQP_URL,
// CUPLINE_TEST_MANAGEMENT_URL or CUPLINE_TEST_MQTT_ADDR is unset.
func New(t testing.TB) *Broker { panic("soon") }

// URL of the virtual host, amqp://.
func (b *Broker) URL() string { panic("soon") }

// Vhost is the virtual host's name.
func (b *Broker) Vhost() string { panic("soon") }

// ManagementURL of the broker, with credentials.
func (b *Broker) ManagementURL() string { panic("soon") }

// MQTTAddr is host:port of the broker's MQTT listener.
func (b *Broker) MQTTAddr() string { panic("soon") }

// MQTTLogin is the user name (vhost:user) and password for MQTT clients of this virtual host.
func (b *Broker) MQTTLogin() (username, password string) { panic("soon") }

// Config of a link of that name to this virtual host.
func (b *Broker) Config(t testing.TB, name string) broker.Config { panic("soon") }

// Link is started, up, and stopped when the test ends.
func (b *Broker) Link(t testing.TB, name string) *broker.Link { panic("soon") }

// Proxy is a link to this broker that can be cut; ProxyURL leads through it.
func (b *Broker) Proxy(t testing.TB) *linktest.Proxy { panic("soon") }

// ProxyURL is URL with the proxy's address.
func (b *Broker) ProxyURL(p *linktest.Proxy) string { panic("soon") }

// Cut closes the connections of these names through the management API.
func (b *Broker) Cut(t testing.TB, names ...string) { panic("soon") }

// Connections lists the names of this virtual host's connections.
func (b *Broker) Connections(t testing.TB) []string { panic("soon") }

// Declare declares a topology.
func (b *Broker) Declare(t testing.TB, topologies ...topology.Topology) { panic("soon") }

// Bindings lists the bindings of an exchange.
func (b *Broker) Bindings(t testing.TB, exchange string) []topology.Binding { panic("soon") }

// Depth is the number of ready messages in a queue.
func (b *Broker) Depth(t testing.TB, queue string) int { panic("soon") }

// QueueExists tells whether the queue is there.
func (b *Broker) QueueExists(t testing.TB, queue string) bool { panic("soon") }

// Publish publishes, confirmed.
func (b *Broker) Publish(t testing.TB, messages ...message.Message) { panic("soon") }

// Get takes (and acks) the next message of a queue, waiting up to 10 s for it.
func (b *Broker) Get(t testing.TB, queue string) message.Message { panic("soon") }

// Empty fails the test unless the queue is empty.
func (b *Broker) Empty(t testing.TB, queue string) { panic("soon") }

// Eventually polls until ok holds, for things of which the broker gives no signal; it fails
// the test after 15 s. Prefer a signal wherever there is one.
func Eventually(t testing.TB, what string, ok func() bool) { panic("soon") }

// Within is Eventually with a limit of its own.
func Within(t testing.TB, limit time.Duration, what string, ok func() bool) { panic("soon") }
