package path_test

import (
	"errors"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/outcome"
)

// hangLimit is how long an operator may wait for an answer while the database hangs: the platform's own bounds are 5 s and less, the
// rest is for a busy machine.
const hangLimit = 20 * time.Second

// The database is not stopped, which everybody would notice, but stands still with all its connections open. The queues are told all the
// same, also to an operator who asks for the first time; the desk says within a bound that it cannot; a command that dies
// meanwhile is a letter afterwards.
func TestTheDatabaseHangs(t *testing.T) {
	n := newTenant(t)
	key := n.makeKey(t, "chief", "ops:read", "ops:platform")
	desk := n.client(t, key, "pusher-0")
	in := newInbox()
	listen(t, n.admin, in.handle)
	if _, err := n.admin.PutDeviceType(bounded(t), device.Type{Name: "web", Lane: "default", Driver: "http"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.admin.PutDevice(bounded(t), device.Device{ID: "away", Type: "web", Address: []byte(`{"url":"http://127.0.0.1:1"}`)}); err != nil {
		t.Fatal(err)
	}
	die := func(id string) string {
		accepted, err := n.admin.SendRaw(bounded(t), "away", []byte(`{"jsonrpc":"2.0","id":"`+id+`","method":"set"}`), long)
		if err != nil {
			t.Fatal(err)
		}
		return accepted.CommandID
	}
	for _, id := range []string{"warm", "warmer"} { // the second one is resolved after the notices of the puts above
		wantFailure(t, in.await(t, die(id)), outcome.DeviceOffline, outcome.No)
	}
	// One more api, which has the management API; the other one has none, and asks the queues one by one.
	managed, err := site.Run(bounded(t), "api-managed", services.API, map[string]string{"RABBITMQ_MANAGEMENT_URL": site.Broker.ManagementURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := site.Kill("api-managed"); err != nil {
			t.Error(err)
		}
	}()
	stranger, err := cupline.New(cupline.Config{URL: "http://" + managed.Public, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.CloseIdle()
	if _, err := desk.BrokerQueues(bounded(t)); err != nil {
		t.Fatal(err)
	}

	if err := site.Database.Pause(); err != nil {
		t.Fatal(err)
	}
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			if err := site.Database.Resume(); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer resume()
	for _, client := range []*cupline.Client{stranger, desk, stranger, desk} {
		source := "declare"
		if client == stranger {
			source = "management"
		}
		began := time.Now()
		told, err := client.BrokerQueues(bounded(t))
		took := time.Since(began)
		t.Logf("the queues were told in %s", took.Round(time.Millisecond))
		if err != nil || took > hangLimit || told.Source != source || !lists(told.Queues, "cupline.dead", "cupline.mailbox", "cupline.work.default") {
			t.Errorf("the queues while the database hangs, after %s: %+v, %v", took, told, err)
		}
	}
	began := time.Now()
	var refused *cupline.Problem
	if _, err := desk.DeadLetterGroups(bounded(t), nil); !errors.As(err, &refused) || refused.Code != "database_unavailable" || time.Since(began) > hangLimit {
		t.Errorf("the desk while the database hangs, after %s: %v", time.Since(began), err)
	}
	t.Logf("the desk said so in %s", time.Since(began).Round(time.Millisecond))
	late := die("late")
	resume()

	wantFailure(t, in.await(t, late), outcome.DeviceOffline, outcome.No)
	eventually(t, "it is a letter", func() bool {
		for l, err := range desk.DeadLetters(bounded(t), cupline.Filter{"command_id": late}, 0) {
			return err == nil && l.State == "open"
		}
		return false
	})
	for _, name := range []string{"api", "dispatcher-0", "dispatcher-1", "pusher-0", "pusher-1"} {
		if err := site.Service(name).WaitReady(bounded(t)); err != nil {
			t.Error(err)
		}
	}
	if in.count(late) != 1 {
		t.Errorf("it was told %d times", in.count(late))
	}
}

// lists tells whether all these queues are there.
func lists(queues []cupline.Queue, names ...string) bool {
	found := map[string]bool{}
	for _, q := range queues {
		found[q.Name] = true
	}
	for _, name := range names {
		if !found[name] {
			return false
		}
	}
	return true
}
