package devices_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/local/services"
)

func tick() <-chan time.Time { return time.After(500 * time.Millisecond) }

// TestAnswersCostNoQuestionsAndGoOnWithoutAPI runs alone, before the tests that run in parallel: it counts what the broker
// asks, and takes api away.
func TestAnswersCostNoQuestionsAndGoOnWithoutAPI(t *testing.T) {
	n := newTenant(t)
	lamp := n.login(t, "lamp-1")
	commands, err := lamp.subscribe(t, own(lamp))
	if err != nil {
		t.Fatal(err)
	}
	const commandsSent = 40
	// One connection answers all of them, as devices do: the tool reads payloads from its standard input.
	reply := newReplier(t, lamp)
	var ids []string
	// Each is answered before the next one is sent: its timeout runs while it waits.
	exchange := func() {
		t.Helper()
		ids = append(ids, n.send(t, "lamp-1", "on"))
		reply.answer(t, commands)
	}
	exchange()
	n.outcome(t, ids[0]) // by then its connection has logged in, and was asked about
	before := questions(t)
	for range commandsSent - 1 {
		exchange()
	}
	for _, id := range ids {
		if got := n.outcome(t, id); !strings.Contains(got, `"result":"yes"`) {
			t.Fatalf("outcome %s", got)
		}
	}
	after := questions(t)
	for question, n := range after {
		if n != before[question] {
			t.Errorf("%d answers cost %d questions of kind %s", commandsSent-1, n-before[question], question)
		}
	}
	if after["user"] == 0 || after["topic"] == 0 || after["resource"] == 0 {
		t.Errorf("the test's own premise: the broker has asked %v", after)
	}

	// What api accepted is carried out without it; connected devices go on.
	left := n.send(t, "lamp-1", "on")
	if err := site.Kill(services.API); err != nil {
		t.Fatal(err)
	}
	reply.answer(t, commands)
	if err := lamp.second("late").publish(t, "devices/"+lamp.user+"/events/on", "1"); err == nil {
		t.Error("with api away somebody logs in")
	}
	if _, err := site.Run(bounded(t), services.API, services.API, nil); err != nil {
		t.Fatal(err)
	}
	if got := n.outcome(t, left); !strings.Contains(got, `"result":"yes"`) {
		t.Errorf("outcome %s", got)
	}
	if err := lamp.second("late").publish(t, "devices/"+lamp.user+"/events/on", "1"); err != nil {
		t.Errorf("with api back: %v", err)
	}
}
