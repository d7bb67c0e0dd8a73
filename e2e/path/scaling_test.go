package path_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/topology"
)

// TestServicesAreAddedAndRetiredUnderLoad adds a dispatcher and a pusher while commands flow, and takes
// them away again for good: nothing is lost or doubled, and another pusher removes the slot that nobody
// holds any more, with its bindings.
func TestServicesAreAddedAndRetiredUnderLoad(t *testing.T) {
	n := newTenant(t)
	a := n.newAgent(t, linux(10*time.Second), "host")
	in := newInbox()
	listen(t, n.client(t, n.key, "pusher-0"), in.handle)
	load := startLoad(t, n, a)
	const extraPusher, extraDispatcher, pruner = "pusher-extra", "dispatcher-extra", "pusher-pruner"
	for _, s := range []struct{ name, program string }{{extraDispatcher, services.Dispatcher}, {extraPusher, services.Pusher}} {
		if err := start(bounded(t), s.name, s.program); err != nil {
			t.Fatal(err)
		}
	}
	// The client is there too, until that pusher ends; the first socket keeps it reachable.
	second := newInbox()
	listener := listen(t, n.client(t, n.key, extraPusher), second.handle)
	second.next(t)
	if err := site.End(bounded(t), extraDispatcher); err != nil {
		t.Fatal(err)
	}
	if !bound(t, extraPusher) {
		t.Error("the extra pusher has no slot of its own")
	}
	// Killed, so that its queue, and the client's binding to it, stay behind.
	if err := site.Kill(extraPusher); err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	_, err := site.Run(bounded(t), pruner, services.Pusher, map[string]string{
		"CUPLINE_SLOT": pruner, "CUPLINE_SLOT_FREE": "2s", "RABBITMQ_MANAGEMENT_URL": site.Broker.ManagementURL(),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slot that nobody holds is removed", func() bool { return !bound(t, extraPusher) })
	if err := site.End(bounded(t), pruner); err != nil {
		t.Fatal(err)
	}
	accepted, doubtful := load.stop()
	for _, id := range accepted {
		if got := in.await(t, id); got.Origin != "device" {
			t.Errorf("command %s ended as %s", id, got.Response)
		}
		if in.count(id) != 1 || a.executions(t)[id] != 1 {
			t.Errorf("command %s: %d outcomes, %d executions", id, in.count(id), a.executions(t)[id])
		}
	}
	t.Logf("%d accepted, %d in doubt", len(accepted), doubtful)
}

// bound tells whether a slot's queue is there.
func bound(t *testing.T, slot string) bool {
	t.Helper()
	var queues []struct{ Name string }
	manage(t, "/api/queues/%2F?columns=name", &queues)
	for _, q := range queues {
		if q.Name == topology.PushQueue(slot) {
			return true
		}
	}
	return false
}

// manage asks the broker's management API.
func manage(t *testing.T, path string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, site.Broker.ManagementURL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}
