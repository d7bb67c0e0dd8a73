package mailbox

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
)

// park parks a message and returns what is kept.
func park(t *testing.T, m message.Message) (letter deadletter.Letter, line audit.Entry) {
	t.Helper()
	p := Parker{Letters: func(_ context.Context, l deadletter.Letter, lines ...audit.Entry) error {
		letter, line = l, lines[0]
		return nil
	}}
	if err := p.Park(t.Context(), &m, "no outcome"); err != nil {
		t.Fatal(err)
	}
	return letter, line
}

func TestParkedMessageIsReadable(t *testing.T) {
	t.Parallel()
	letter, line := park(t, message.Message{
		Exchange: "e", Key: "acme.web", ID: "id", Type: "odd\xff", Body: []byte{0, 1},
		Headers: map[string]any{
			"text": "x", "bytes": []byte{0xff}, "bad": "\xff", "at": time.Unix(0, 0), "list": []any{int64(1), map[string]any{"in": true}},
		},
	})
	const headers = `{"at":{"time":"1970-01-01T00:00:00Z"},"bad":{"base64":"/w=="},"bytes":{"base64":"/w=="},"list":[1,{"in":true}],"text":"x"}`
	if string(letter.Headers) != headers || string(letter.Payload) != "\x00\x01" || letter.Client != "web" || letter.Detail != "for acme.web: no outcome" {
		t.Fatalf("got %+v with headers %s", letter, letter.Headers)
	}
	var properties map[string]any
	if err := json.Unmarshal(letter.Properties, &properties); err != nil || properties["key"] != "acme.web" || properties["message_id"] != "id" {
		t.Fatalf("properties %s, %v", letter.Properties, err)
	}
	if line.Tenant != topology.SystemTenant || line.Stage != audit.StageMailbox || line.Action != "parked" || line.Detail != letter.Detail {
		t.Fatalf("line %+v", line)
	}
}

func TestHeadersThatJSONCannotSay(t *testing.T) {
	t.Parallel()
	letter, _ := park(t, message.Message{Key: "no.key.of.ours", Headers: map[string]any{"x": math.NaN()}})
	if !json.Valid(letter.Headers) || letter.Client != "" || letter.Detail != "no outcome" {
		t.Fatalf("got %+v with headers %s", letter, letter.Headers)
	}
}

// The same message, given once more, is the same letter; another one is not.
func TestDigestTellsMessagesApart(t *testing.T) {
	t.Parallel()
	m := message.Message{Key: "k", Body: []byte("b")}
	first, _ := park(t, m)
	m.Headers = map[string]any{"x-delivery-count": int64(3), "x-death": []any{}}
	again, _ := park(t, m)
	m.Key, m.Body = "kb", nil
	other, _ := park(t, m)
	if first.Digest != again.Digest || first.Digest == other.Digest {
		t.Fatalf("digests %x %x %x", first.Digest, again.Digest, other.Digest)
	}
}

func TestParkTellsOfFailure(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	p := Parker{Letters: func(context.Context, deadletter.Letter, ...audit.Entry) error { return away }}
	if err := p.Park(t.Context(), &message.Message{}, ""); !errors.Is(err, away) {
		t.Fatalf("got %v", err)
	}
}
