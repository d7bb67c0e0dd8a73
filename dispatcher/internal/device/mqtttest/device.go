// Package mqtttest is a device on a real MQTT listener that a test directs. It is for
// tests only.
package mqtttest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/device"
)

// limit bounds each thing that is waited for.
const limit = time.Minute

// Device is one device that has subscribed to its commands. It ends with its test.
type Device struct {
	client    paho.Client
	filter    string
	behaviour atomic.Pointer[func(request []byte, answer func([]byte))]
	requests  atomic.Int64
	work      sync.WaitGroup
}

// New connects a device to the broker and subscribes it at QoS 0, for this session only.
// It answers nothing until it is told how to behave.
func New(t testing.TB, b *brokertest.Broker, tenant, name string) *Device {
	t.Helper()
	return connect(t, b, b.MQTTAddr(), tenant, name, 0)
}

// NewKept connects a device at addr whose subscription is at QoS 1 and outlives its
// connection: the broker keeps what it has not acknowledged.
func NewKept(t testing.TB, b *brokertest.Broker, addr, tenant, name string) *Device {
	t.Helper()
	return connect(t, b, addr, tenant, name, 1)
}

func connect(t testing.TB, b *brokertest.Broker, addr, tenant, name string, qos byte) *Device {
	t.Helper()
	d := &Device{filter: device.CommandsFilter(tenant, name)}
	d.Behave(func([]byte, func([]byte)) {})
	user, password := b.MQTTLogin()
	d.client = paho.NewClient(paho.NewClientOptions().
		AddBroker("tcp://" + addr).
		SetClientID(b.Vhost() + "/" + device.Login(tenant, name)). // the broker's client ids know no virtual host
		SetUsername(user).SetPassword(password).
		SetOrderMatters(false).SetAutoReconnect(false).SetCleanSession(qos == 0).SetConnectTimeout(limit))
	d.wait(t, "connect", d.client.Connect())
	t.Cleanup(d.Leave)
	d.wait(t, "subscribe", d.client.Subscribe(d.filter, qos, d.receive))
	return d
}

// Behave sets what the device does with each request from now on. behaviour is called in
// a goroutine of its own, which has to end before the test; answer may be called any number of times.
func (d *Device) Behave(behaviour func(request []byte, answer func([]byte))) {
	d.behaviour.Store(&behaviour)
}

// Requests is how many requests have arrived.
func (d *Device) Requests() int { return int(d.requests.Load()) }

// Leave ends the connection, as a device does that is switched off in an orderly way, and
// waits for what it is still doing.
func (d *Device) Leave() {
	if d.client.IsConnected() {
		d.client.Unsubscribe(d.filter).WaitTimeout(limit) // so that the broker knows when this returns
		d.client.Disconnect(50)
	}
	d.work.Wait()
}

func (d *Device) receive(_ paho.Client, m paho.Message) {
	d.work.Add(1)
	defer d.work.Done()
	d.requests.Add(1)
	topic, ok := device.AnswerTopic(m.Topic())
	if !ok {
		return
	}
	(*d.behaviour.Load())(m.Payload(), func(body []byte) {
		d.client.Publish(topic, 0, false, body).WaitTimeout(limit)
	})
}

func (d *Device) wait(t testing.TB, what string, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(limit) {
		t.Fatalf("device: %s: no answer within %s", what, limit)
	}
	if err := token.Error(); err != nil {
		t.Fatalf("device: %s: %v", what, err)
	}
}

// Publish sends to any topic, as a device that misbehaves.
func (d *Device) Publish(t testing.TB, topic string, body []byte) {
	t.Helper()
	d.wait(t, "publish", d.client.Publish(topic, 0, false, body))
}
