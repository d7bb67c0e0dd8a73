package devices_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/local/services"
)

// answer takes a command from a subscription and answers it on the topic that goes with it.
func answer(t *testing.T, l login, commands *bufio.Scanner, result string) (topic string) {
	t.Helper()
	topic, payload := next(t, commands)
	var request struct{ ID json.RawMessage }
	if err := json.Unmarshal([]byte(payload), &request); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	topic = strings.Replace(topic, "/commands/", "/replies/", 1)
	response := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, request.ID, result)
	if err := l.second("answers").publish(t, topic, response); err != nil {
		t.Fatalf("answer: %v", err)
	}
	return topic
}

// second is another connection of the same device.
func (l login) second(name string) login {
	l.client = l.user + "/" + name
	return l
}

func own(l login) string { return "devices/" + l.user + "/commands/+" }

func TestADeviceHearsItsCommandsAndAnswersThem(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	lamp := n.login(t, "lamp-1")
	commands, err := lamp.subscribe(t, own(lamp))
	if err != nil {
		t.Fatal(err)
	}
	command := n.send(t, "lamp-1", "on")
	answer(t, lamp, commands, `"yes"`)
	if got := n.outcome(t, command); !strings.Contains(got, `"result":"yes"`) {
		t.Errorf("outcome %s", got)
	}
	if err := lamp.second("events").publish(t, "devices/"+lamp.user+"/events/door/open", "1"); err != nil {
		t.Errorf("an event of its own: %v", err)
	}
}

func TestTheAgentLogsInWithACredential(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	lamp := n.login(t, "lamp-1")
	name := "agent-" + n.name
	if _, err := site.Run(bounded(t), name, services.Agent, map[string]string{
		"CUPLINE_MQTT_URL": "tcp://" + site.Broker.MQTTAddress(), "CUPLINE_MQTT_PASSWORD": lamp.password,
		"CUPLINE_TENANT": n.name, "CUPLINE_DEVICE": "lamp-1", "CUPLINE_AGENT_STATE": filepath.Join(site.Folder(), name),
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Kill(name); err != nil {
			t.Error(err)
		}
	})
	// It has no method "on", and says so itself.
	if got := n.outcome(t, n.send(t, "lamp-1", "on")); !strings.Contains(got, "-32601") {
		t.Errorf("outcome %s", got)
	}
}

func TestLogInsAreRefused(t *testing.T) {
	t.Parallel()
	n, other := newTenant(t), newTenant(t)
	lamp := n.login(t, "lamp-1")
	foreign := other.login(t, "lamp-1")
	for name, l := range map[string]login{
		"no password":                       {lamp.user, "", lamp.client},
		"a wrong password":                  {lamp.user, lamp.password[:len(lamp.password)-1] + "~", lamp.client},
		"another tenant's password":         {lamp.user, foreign.password, lamp.client},
		"another device's name":             {n.name + "/lamp-2", lamp.password, n.name + "/lamp-2"},
		"another device's client id":        {lamp.user, lamp.password, n.name + "/lamp-2"},
		"a client id that begins like it":   {lamp.user, lamp.password, lamp.user + "x"},
		"a client id of no kind":            {lamp.user, lamp.password, "mqtt"},
		"another virtual host":              {"other:" + lamp.user, lamp.password, lamp.client},
		"the virtual host by name":          {"/:" + n.name + "/lamp-2", lamp.password, n.name + "/lamp-2"},
		"a service's user without password": {"cupline-api", "", "cupline-api"},
		"a device that is not there":        {n.name + "/none", lamp.password, n.name + "/none"},
	} {
		if _, err := l.subscribe(t, own(lamp)); err == nil {
			t.Errorf("%s lets in", name)
		}
	}
	if _, err := lamp.subscribe(t, own(lamp)); err != nil {
		t.Errorf("after all these the device itself: %v", err)
	}
	trail := 0
	for entry, err := range n.admin.Audit(bounded(t), cupline.Filter{}, 1000) {
		if err != nil {
			t.Fatal(err)
		}
		if entry.Action == "log_in_refused" {
			trail++
			if strings.Contains(entry.Detail, lamp.password[25:]) {
				t.Errorf("the audit trail has a password: %+v", entry)
			}
		}
	}
	if trail == 0 {
		t.Error("no refused log-in in the audit trail")
	}
}

func TestADeviceHearsNothingOfOthers(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	lamp, victim := n.login(t, "lamp-1"), n.login(t, "lamp-2")
	for _, topic := range []string{
		own(victim), "devices/" + n.name + "/+/commands/+", "devices/#", "#", "+/+/+/+/+", "$SYS/#",
		"devices/" + n.name + "/lamp-2/commands/#", "devices/" + n.name + "/lamp-1/#", "devices/" + n.name + "/lamp-2/replies/+",
		"devices." + n.name + ".lamp-2.commands.+", "devices/" + n.name + "/lamp-2/events/#",
	} {
		if _, err := lamp.second("spy").subscribe(t, topic); err == nil {
			t.Errorf("it hears %s", topic)
		}
	}
	// At QoS 1 the broker would keep commands for a device that is away, and the platform hold it for present.
	if _, err := lamp.second("keeps").subscribe(t, own(lamp), "-q", "1", "-c"); err == nil {
		t.Error("a subscription that outlives its connection")
	}
	if got := n.outcome(t, n.send(t, "lamp-1", "on")); !strings.Contains(got, "device_offline") {
		t.Errorf("with nobody subscribed: %s", got)
	}
}

func TestADeviceAnswersForItselfAlone(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	lamp, victim := n.login(t, "lamp-1"), n.login(t, "lamp-2")
	commands, err := victim.subscribe(t, own(victim))
	if err != nil {
		t.Fatal(err)
	}
	command := n.send(t, "lamp-2", "on")
	topic, payload := next(t, commands) // with the very topic and command id, which no other device could know
	forged := strings.Replace(topic, "/commands/", "/replies/", 1)
	var request struct{ ID json.RawMessage }
	if err := json.Unmarshal([]byte(payload), &request); err != nil {
		t.Fatal(err)
	}
	response := func(result string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%q}`, request.ID, result)
	}
	for _, to := range []string{
		forged, topic, "devices/" + n.name + "/lamp-2/events/on", strings.ReplaceAll(forged, "/", "."),
		"devices/" + n.name + "/lamp-1/commands/x", "devices/" + n.name + "/lamp-1/replies/a/b", "cupline/commands", "$SYS/broker",
	} {
		if err := lamp.publish(t, to, response("forged")); err == nil {
			t.Errorf("it publishes to %s", to)
		}
		if err := lamp.publish(t, to, response("forged"), "-r"); err == nil {
			t.Errorf("it leaves a message at %s", to)
		}
	}
	// A will is a publish like any other; it is due when a connection ends without a word.
	lamp.second("willing").die(t, own(lamp), "--will-topic", forged, "--will-payload", response("forged"))
	// What it may say for itself, with the id of another's command, counts for nothing.
	if err := lamp.publish(t, strings.Replace(forged, "lamp-2", "lamp-1", 1), response("forged")); err != nil {
		t.Errorf("a reply of its own: %v", err)
	}
	if err := victim.second("answers").publish(t, forged, response("true")); err != nil {
		t.Fatal(err)
	}
	if got := n.outcome(t, command); !strings.Contains(got, `"result":"true"`) {
		t.Errorf("outcome %s", got)
	}
}

func TestNothingIsRetained(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	lamp := n.login(t, "lamp-1")
	if err := lamp.publish(t, "devices/"+lamp.user+"/events/on", "1", "-r"); err != nil {
		t.Fatal(err)
	}
	// The broker's own users may subscribe to anything; nothing waits there.
	admin := login{site.Broker.User(), site.Broker.Password(), "admin-" + n.name}
	events, err := admin.subscribe(t, "devices/"+lamp.user+"/events/on")
	if err != nil {
		t.Fatal(err)
	}
	if err := lamp.publish(t, "devices/"+lamp.user+"/events/on", "2"); err != nil {
		t.Fatal(err)
	}
	if _, payload := next(t, events); payload != "2" {
		t.Errorf("retained: %s", payload)
	}
}

func TestCredentialsAreReplacedAndRevoked(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	first, second := n.login(t, "lamp-1"), n.login(t, "lamp-1")
	for _, l := range []login{first, second} {
		if err := l.publish(t, "devices/"+l.user+"/events/on", "1"); err != nil {
			t.Fatalf("both are good: %v", err)
		}
	}
	all, err := n.admin.DeviceCredentials(bounded(t), "lamp-1")
	if err != nil || len(all) != 2 || all[1].LastLogin.IsZero() {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := n.admin.RevokeDeviceCredential(bounded(t), "lamp-1", all[1].ID); err != nil {
		t.Fatal(err)
	}
	if err := first.publish(t, "devices/"+first.user+"/events/on", "1"); err == nil {
		t.Error("the revoked one lets in, a moment after it did")
	}
	if err := second.publish(t, "devices/"+second.user+"/events/on", "1"); err != nil {
		t.Errorf("the other one: %v", err)
	}
}
