package path_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/outcome"
)

// A command dies because its device is away; the device comes back; an operator sends it again;
// the client gets the redrive's own outcome, marked as such, and the device ran it once.
func TestARedriveReachesTheClient(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	ctx := bounded(t)
	printed, err := site.CLI(ctx, "keys", "create", "--database", "--tenant", n.name, "--client", "ops",
		"--scope", "ops:read,ops:write,commands:send", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil {
		t.Fatal(err)
	}
	desk := n.client(t, made.Token, "pusher-0")
	if _, err := n.admin.PutDeviceType(ctx, linux(5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.admin.PutDevice(ctx, device.Device{ID: "host", Type: "linux"}); err != nil {
		t.Fatal(err)
	}
	in := newInbox()
	listen(t, n.admin, in.handle)
	accepted, err := n.admin.SendRaw(ctx, "host", []byte(`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	first := in.await(t, accepted.CommandID)
	wantFailure(t, first, outcome.DeviceOffline, outcome.No)

	a := n.newAgent(t, linux(5*time.Second), "host")
	var letter cupline.Letter
	for l, err := range desk.DeadLetters(ctx, cupline.Filter{"command_id": accepted.CommandID}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		letter = l
	}
	if letter.State != "open" || letter.Reason != "device_offline" || letter.Executed != "no" || string(letter.ID) != `"c-42"` {
		t.Fatalf("letter %+v", letter)
	}
	redriven, err := desk.RedriveDeadLetter(ctx, letter.LetterID, cupline.Redrive{LetterAction: cupline.LetterAction{Reason: "the device is back", Actor: "ann"}})
	if err != nil {
		t.Fatal(err)
	}
	got := in.await(t, redriven.RedrivenAs)
	if result, err := got.Result(); err != nil || got.Redrive != 1 || string(got.ID) != `"c-42"` || got.Origin != "device" {
		t.Errorf("the redrive's outcome is %+v: %s, %v", got, result, err)
	}
	if ran := a.executions(t); ran[redriven.RedrivenAs] != 1 || ran[accepted.CommandID] != 0 {
		t.Errorf("executed %v", ran)
	}
	_, err = desk.RedriveDeadLetter(ctx, letter.LetterID, cupline.Redrive{LetterAction: cupline.LetterAction{Reason: "once more"}})
	if problem := (*cupline.Problem)(nil); !errors.As(err, &problem) || problem.Code != "letter_state" {
		t.Errorf("redriven again: %v", err)
	}
	// The whole story in one answer: it is delivered once the client's ack is noted.
	eventually(t, "the redrive's history is whole", func() bool {
		history, err := desk.CommandHistory(ctx, "", redriven.RedrivenAs)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, e := range history.Events {
			seen[e.Event] = true
		}
		return seen["accepted"] && seen["started"] && seen["decided"] && seen["delivered"]
	})
	// The first outcome stands.
	whole, err := desk.DeadLetter(ctx, "", letter.LetterID)
	if err != nil || whole.State != "redriven" || whole.RedrivenAs != redriven.RedrivenAs || whole.DeliveredAt == nil || in.count(accepted.CommandID) != 1 {
		t.Errorf("the letter is %+v, %v", whole, err)
	}
}
