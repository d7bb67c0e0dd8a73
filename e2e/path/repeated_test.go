package path_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/outcome"
)

func TestTheSameIDPostedAgainIsNotExecutedAgain(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	kind := linux(5 * time.Second)
	a := n.newAgent(t, kind, "host")
	if _, err := n.admin.PutDevice(bounded(t), device.Device{ID: "second", Type: kind.Name}); err != nil {
		t.Fatal(err)
	}
	in := newInbox()
	listen(t, n.admin, in.handle)
	body := []byte(`{"jsonrpc":"2.0","id":"once","method":"relay.set","params":{"on":true}}`)
	post := func() string {
		accepted, err := n.admin.SendRaw(bounded(t), a.device, body, 0)
		if err != nil {
			t.Error(err)
		}
		return accepted.CommandID
	}
	// Five at once: one of them is executed; the first copy answers for those that meet it
	// while it runs, and those that come later are told the same under their own command id.
	var posts sync.WaitGroup
	for range 5 {
		posts.Go(func() { post() })
	}
	posts.Wait()
	first := in.next(t)
	// And once more, when all is long decided.
	again := in.await(t, post())
	if string(again.Response) != string(first.Response) {
		t.Errorf("the repeated post got %s, the first %s", again.Response, first.Response)
	}
	total := 0
	for _, times := range a.executions(t) {
		total += times
	}
	if total != 1 {
		t.Errorf("executed %d times", total)
	}
	// The id belongs to this device and body.
	for name, send := range map[string]func() (cupline.Accepted, error){
		"another device": func() (cupline.Accepted, error) { return n.admin.SendRaw(bounded(t), "second", body, 0) },
		"another body": func() (cupline.Accepted, error) {
			return n.admin.SendRaw(bounded(t), a.device, []byte(`{"jsonrpc":"2.0","id":"once","method":"relay.set","params":{"on":false}}`), 0)
		},
	} {
		accepted, err := send()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := in.await(t, accepted.CommandID)
		wantFailure(t, got, outcome.DuplicateID, outcome.No)
		if failure := failureOf(t, got); failure.FirstCommandID == "" || failure.FirstState == "" {
			t.Errorf("%s: the failure does not name the first command: %+v", name, failure)
		}
	}
	// An id as a number is another id.
	for _, id := range []string{`1`, `"1"`} {
		accepted, err := n.admin.SendRaw(bounded(t), a.device,
			fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":"echo","params":[%s]}`, id, id), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := in.await(t, accepted.CommandID); got.Origin != "device" {
			t.Errorf("id %s: %s", id, got.Response)
		}
	}
}
