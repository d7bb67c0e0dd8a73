package feed

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/schema/envelope"
)

func delivered(body string) *broker.Delivery {
	now := time.Now()
	o := envelope.Outcome{
		Tenant: "acme", Client: "web", CommandID: uuid.New(), Redrive: 2, Device: "lamp", Method: "relay.set", Lane: "default",
		Origin: envelope.OriginDevice, Accepted: now, At: now, Body: []byte(body),
	}
	return &broker.Delivery{Message: o.Message(), Redelivered: true}
}

// An outcome becomes a frame on one line, with its own id; whatever is none is refused.
func TestFill(t *testing.T) {
	t.Parallel()
	d := delivered("{\"jsonrpc\":\"2.0\",\n\"id\":42,\"result\":null}")
	it := session.NewLive(nil)
	if _, err := fill(it, d); err != nil {
		t.Fatal(err)
	}
	if o := it.Outcome; string(o.ID) != "42" || o.CommandID != d.ID || o.Redrive != 2 || string(o.Response) != `{"jsonrpc":"2.0", "id":42,"result":null}` ||
		it.ID.String() != d.ID || it.Tenant != "acme" || it.Client != "web" || !it.Redelivered {
		t.Fatalf("got %+v", it)
	}
	for _, body := range []string{"", "{}", `{"jsonrpc":"2.0","id":1}`, `[]`, "\xff"} {
		if _, err := fill(session.NewLive(nil), delivered(body)); err == nil {
			t.Errorf("%q passes for an outcome", body)
		}
	}
	d.Key = "no.key.of.ours"
	if _, err := fill(session.NewLive(nil), d); err == nil {
		t.Error("a foreign key passes")
	}
}

func BenchmarkFill(b *testing.B) {
	d := delivered(`{"jsonrpc":"2.0","id":"c-42","result":{"on":true,"level":0.75,"text":"a device's answer of some length"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fill(session.NewLive(nil), d); err != nil {
			b.Fatal(err)
		}
	}
}
