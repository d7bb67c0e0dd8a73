// Package golden compares what a test wrote with the file that says how it has to look
// on the wire. The files stand in schema/testdata/golden, where clients in other
// languages read them too; `go test ./envelope ./push ./outcome -update` writes them anew, to be looked at
// in the diff before it is committed.
package golden

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/message"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Path of a golden file, from the folder of a package of this module.
func Path(name string) string { return filepath.Join("..", "testdata", "golden", name) }

// Read returns a golden file's bytes.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(Path(name))
	if err != nil {
		t.Fatalf("golden file: %v", err)
	}
	return b
}

// Check fails the test unless got is what the golden file holds.
func Check(t testing.TB, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(Path(name), got, 0o644); err != nil {
			t.Fatalf("golden file: %v", err)
		}
		return
	}
	if want := Read(t, name); !bytes.Equal(got, want) {
		t.Errorf("%s is not what is written any more:\ngot\n%s\nwant\n%s", name, got, want)
	}
}

// Message is an AMQP message as a golden file shows it: bodies as text, times in
// RFC 3339, integer headers as JSON numbers.
type Message struct {
	Exchange    string         `json:"exchange,omitempty"`
	Key         string         `json:"routing_key"`
	Mandatory   bool           `json:"mandatory,omitempty"`
	Transient   bool           `json:"transient,omitempty"`
	ID          string         `json:"message_id,omitempty"`
	Type        string         `json:"type,omitempty"`
	ContentType string         `json:"content_type,omitempty"`
	ReplyTo     string         `json:"reply_to,omitempty"`
	Expiration  string         `json:"expiration,omitempty"`
	Headers     map[string]any `json:"headers,omitempty"`
	Body        string         `json:"body,omitempty"`
}

// Write shows a message as golden files do. It fails the test for a property or a type of
// header that the file would not show.
func Write(t testing.TB, m message.Message) []byte {
	t.Helper()
	if m.CorrelationID != "" || m.AppID != "" || !m.Timestamp.IsZero() {
		t.Fatalf("a golden file does not show all of %+v", m)
	}
	for name, value := range m.Headers {
		switch value.(type) {
		case string, bool, int64, []any:
		default:
			t.Fatalf("header %s: a golden file does not show a %T", name, value)
		}
	}
	g := Message{
		Exchange: m.Exchange, Key: m.Key, Mandatory: m.Mandatory, Transient: m.Transient, ID: m.ID,
		Type: m.Type, ContentType: m.ContentType, ReplyTo: m.ReplyTo, Headers: m.Headers, Body: string(m.Body),
	}
	if m.Expiration > 0 {
		g.Expiration = m.Expiration.String()
	}
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatalf("golden file: %v", err)
	}
	return append(b, '\n')
}

// ReadMessage reads a golden file back into the message that a consumer would see.
func ReadMessage(t testing.TB, name string) message.Message {
	t.Helper()
	var g Message
	d := json.NewDecoder(bytes.NewReader(Read(t, name)))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	headers, err := table(g.Headers)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var expiration time.Duration
	if g.Expiration != "" {
		if expiration, err = time.ParseDuration(g.Expiration); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return message.Message{
		Exchange: g.Exchange, Key: g.Key, Mandatory: g.Mandatory, Transient: g.Transient, ID: g.ID, Type: g.Type,
		ContentType: g.ContentType, ReplyTo: g.ReplyTo, Expiration: expiration, Headers: headers, Body: []byte(g.Body),
	}
}

func table(in map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(in))
	for name, value := range in {
		v, err := field(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if text, ok := v.(string); ok && name == "time" {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			v = at
		}
		out[name] = v
	}
	return out, nil
}

func field(value any) (any, error) {
	switch v := value.(type) {
	case json.Number:
		return v.Int64()
	case map[string]any:
		return table(v)
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			var err error
			if out[i], err = field(element); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return value, nil
}
