package path_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	cupline "github.com/cupline/cupline/clients/go"
)

// TestGarbagePublishedStraightIntoTheQueues puts what no service of ours would write where
// only our services write. It is parked and recorded, and the rest flows on.
func TestGarbagePublishedStraightIntoTheQueues(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	a := n.newAgent(t, linux(5*time.Second), "host")
	listener := listen(t, n.admin, newInbox().handle)
	before := parked(t)
	const kinds = 4
	for i, to := range []struct{ exchange, key string }{
		{"amq.default", "cupline.work.default"},
		{"cupline.dead", "what.is.this"},
		{"amq.default", "cupline.mailbox"},
		{"cupline.replies", n.name + ".client"}, // a client that is connected
	} {
		publish(t, to.exchange, to.key, fmt.Sprintf("%s%d", garbage, i))
	}
	eventually(t, "the garbage is recorded", func() bool { return parked(t) >= before+kinds })
	if got, err := listener.Call(bounded(t), a.device, "echo", nil, cupline.SendOptions{}); err != nil || got.Origin != "device" {
		t.Errorf("a command after the garbage: %+v, %v", got, err)
	}
}

// garbage is neither JSON nor text that Postgres could store as such.
const garbage = "\x00 not JSON {"

// publish puts a message into the broker as its administrator.
func publish(t *testing.T, exchange, key, payload string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"routing_key": key, "payload": payload, "payload_encoding": "string",
		"properties": map[string]any{"message_id": "no uuid", "headers": map[string]any{"CC": []string{"elsewhere"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(bounded(t), http.MethodPost,
		site.Broker.ManagementURL()+"/api/exchanges/%2F/"+exchange+"/publish", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK || !bytes.Contains(said, []byte(`"routed":true`)) {
		t.Fatalf("publish to %s %s: %s %s", exchange, key, answer.Status, said)
	}
}

// parked counts the dead letters of nobody's tenant, and of this test's kind of garbage.
func parked(t *testing.T) int {
	t.Helper()
	ctx := bounded(t)
	connection, err := pgx.Connect(ctx, site.Database.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(ctx)
	var count int
	err = connection.QueryRow(ctx, `SELECT count(*) FROM dead_letters WHERE position($1::bytea IN payload) = 1`, []byte(garbage)).Scan(&count)
	if err != nil {
		t.Fatal(err)
	}
	return count
}
