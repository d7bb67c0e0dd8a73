package livetest

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/process"
	"github.com/cupline/cupline/local/rabbitmq"
)

// broker starts one and discards it when the test ends.
func broker(t *testing.T, config rabbitmq.Config) *rabbitmq.Instance {
	t.Helper()
	t.Cleanup(func() {
		if err := rabbitmq.Discard(bounded(t), config); err != nil {
			t.Error(err)
		}
	})
	instance, err := rabbitmq.Start(bounded(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := instance.Kill(); err != nil {
			t.Error(err)
		}
	})
	return instance
}

// message declares a durable queue and leaves a persistent message in it.
func message(t *testing.T, instance *rabbitmq.Instance) {
	t.Helper()
	const queue = `{"durable":true,"arguments":{"x-queue-type":"quorum"}}`
	if code := ask(t, http.MethodPut, instance.ManagementURL(), "/api/queues/%2F/kept", queue, nil); code != http.StatusCreated {
		t.Fatalf("declare a queue: %d", code)
	}
	const publish = `{"routing_key":"kept","payload":"hello","payload_encoding":"string","properties":{"delivery_mode":2}}`
	var answer struct{ Routed bool }
	ask(t, http.MethodPost, instance.ManagementURL(), "/api/exchanges/%2F/amq.default/publish", publish, &answer)
	if !answer.Routed {
		t.Fatal("the message was not routed")
	}
}

// wantMessage looks at the message and puts it back.
func wantMessage(t *testing.T, instance *rabbitmq.Instance) {
	t.Helper()
	const get = `{"count":1,"ackmode":"ack_requeue_true","encoding":"auto"}`
	eventually(t, "the message is there", func() bool {
		var got []struct{ Payload string }
		ask(t, http.MethodPost, instance.ManagementURL(), "/api/queues/%2F/kept/get", get, &got)
		return len(got) == 1 && got[0].Payload == "hello"
	})
}

func TestBrokerKeepsItsDataAndPorts(t *testing.T) {
	t.Parallel()
	config := rabbitmq.Config{Base: filepath.Join(openFolder(t), ".run")}
	instance := broker(t, config)
	folder := filepath.Join(config.Base, "rabbitmq")
	wantLoopback(t, 5, filepath.Join(folder, "rabbitmq.pid"), filepath.Join(folder, "epmd.pid"))
	wantClosedToStrangers(t, instance)
	message(t, instance)
	if _, err := rabbitmq.Start(bounded(t), config); !errors.Is(err, place.ErrLocked) {
		t.Errorf("a second Start in the folder: %v, want ErrLocked", err)
	}
	where, node := instance.URL()+instance.ManagementURL()+instance.MQTTAddress(), instance.Node()

	if err := instance.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rabbitmq.pid", "epmd.pid"} {
		if found, err := process.Find(filepath.Join(folder, name)); found != nil || err != nil {
			t.Errorf("after Stop, %s: %v, %v", name, found, err)
		}
	}
	if _, err := net.Dial("tcp", instance.MQTTAddress()); err == nil {
		t.Error("after Stop, something still listens")
	}

	if err := instance.Start(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if now := instance.URL() + instance.ManagementURL() + instance.MQTTAddress(); now != where || instance.Node() != node {
		t.Errorf("started again, it is reached at other addresses")
	}
	wantMessage(t, instance)
	brokerSurvivesAKill(t, instance)
}

// brokerSurvivesAKill kills the node, which a waiting goroutine is told of, and starts it again.
func brokerSurvivesAKill(t *testing.T, instance *rabbitmq.Instance) {
	t.Helper()
	waited := make(chan error, 1)
	go func() { waited <- instance.Wait(bounded(t)) }()
	if err := instance.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil && !strings.Contains(err.Error(), "killed") {
		t.Errorf("Wait = %v", err)
	}
	if instance.Running() {
		t.Error("it is still running")
	}
	if err := instance.Start(bounded(t)); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, instance)
}

func wantClosedToStrangers(t *testing.T, instance *rabbitmq.Instance) {
	t.Helper()
	_, host, _ := strings.Cut(instance.ManagementURL(), "@")
	for _, who := range []string{"", "guest:guest@", "cupline:wrong@"} {
		if code := ask(t, http.MethodGet, "http://"+who+host, "/api/whoami", "", nil); code != http.StatusUnauthorized {
			t.Errorf("%q may log in: %d", who, code)
		}
	}
	var me struct{ Tags any }
	ask(t, http.MethodGet, instance.ManagementURL(), "/api/whoami", "", &me)
	if tags, ok := me.Tags.([]any); ok && (len(tags) != 1 || tags[0] != "administrator") {
		t.Errorf("the administrator's tags are %v", me.Tags)
	}
	// MQTT 3.1.1 CONNECT without a user name; CONNACK's last byte 5 is "not authorised", 4 "bad user name or password".
	connection, err := net.Dial("tcp", instance.MQTTAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := connection.Write([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x")); err != nil {
		t.Fatal(err)
	}
	var answer [4]byte
	if n, _ := connection.Read(answer[:]); n == 4 && answer[3] == 0 {
		t.Error("MQTT lets in who has no name")
	}
}

func TestTwoBrokersAtOnce(t *testing.T) {
	t.Parallel()
	base := openFolder(t)
	var pair [2]*rabbitmq.Instance
	var failed [2]error
	var starting sync.WaitGroup
	for i, name := range []string{"one", "two"} {
		config := rabbitmq.Config{Base: base, Name: name, Plugins: []string{"rabbitmq_management"}}
		t.Cleanup(func() {
			if err := rabbitmq.Discard(bounded(t), config); err != nil {
				t.Error(err)
			}
		})
		ctx := bounded(t)
		starting.Go(func() { pair[i], failed[i] = rabbitmq.Start(ctx, config) })
	}
	starting.Wait()
	for i, instance := range pair {
		if failed[i] != nil {
			t.Fatal(errors.Join(failed[:]...))
		}
		t.Cleanup(func() {
			if err := instance.Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	if pair[0].URL() == pair[1].URL() || pair[0].Node() == pair[1].Node() || pair[0].EpmdPort() == pair[1].EpmdPort() {
		t.Error("the two share an address or a name")
	}
	message(t, pair[1])
	if err := pair[0].Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, pair[1])
}

func TestBrokerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	config := rabbitmq.Config{Base: openFolder(t), Settings: []string{"no.such.key = 1"}}
	t.Cleanup(func() {
		if err := rabbitmq.Discard(bounded(t), config); err != nil {
			t.Error(err)
		}
	})
	_, err := rabbitmq.Start(bounded(t), config)
	if err == nil || !strings.Contains(err.Error(), "no.such.key") {
		t.Errorf("Start = %v, want what the node says of it", err)
	}
	for _, name := range []string{"rabbitmq.pid", "epmd.pid"} {
		if found, err := process.Find(filepath.Join(config.Base, "rabbitmq", name)); found != nil || err != nil {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}
