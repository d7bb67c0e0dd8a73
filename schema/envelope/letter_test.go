package envelope

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/internal/golden"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

func TestBuryGolden(t *testing.T) {
	t.Parallel()
	c := command()
	m := c.Message(c.Accepted)
	buried := Bury(m, Verdict{
		Reason: outcome.DuplicateID, Claim: id("0c"), Detail: "used for lamp-2", FirstCommandID: id("0f").String(), FirstState: "decided",
	})
	golden.Check(t, "letter-dispatcher.json", golden.Write(t, buried))

	read := golden.ReadMessage(t, "letter-dispatcher.json")
	got := ParseLetter(&read)
	want := Letter{
		Command: c, Reason: outcome.DuplicateID, Claim: id("0c"), Detail: "used for lamp-2",
		FirstCommandID: id("0f").String(), FirstState: "decided",
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Cause() != outcome.DuplicateID {
		t.Errorf("cause %s, reads back differently:\n%s", got.Cause(), diff)
	}
}

// What the broker itself dead-letters carries its own words; the file was written by hand
// after what RabbitMQ 3.10 sends.
func TestLetterOfTheBroker(t *testing.T) {
	t.Parallel()
	read := golden.ReadMessage(t, "letter-expired.json")
	got := ParseLetter(&read)
	c := command()
	want := Letter{Command: c, Deaths: []Death{{
		Queue: topology.WorkQueue("default"), Exchange: topology.CommandsExchange, Keys: []string{"default.acme.lamp-1"},
		Reason: "expired", Count: 1, At: at("2026-03-01T12:00:30Z"),
	}}}
	if diff := cmp.Diff(want, got); diff != "" || got.Cause() != outcome.Expired {
		t.Errorf("cause %s, read differently:\n%s", got.Cause(), diff)
	}
}

func TestBuryChangesOnlyTheWay(t *testing.T) {
	t.Parallel()
	garbage := message.Message{
		Exchange: "cupline.commands", Key: "whatever", Transient: true, Expiration: time.Second, ReplyTo: "x",
		Headers: map[string]any{"CC": []any{"a.b"}, "BCC": []any{"c.d"}, "other": int64(7)}, Body: []byte("\xff{"),
	}
	buried := Bury(garbage, Verdict{Reason: outcome.Undeliverable})
	want := message.Message{
		Exchange: topology.DeadExchange, Key: "whatever", Mandatory: true, ReplyTo: "x",
		Headers: map[string]any{"other": int64(7), headerReason: "undeliverable"}, Body: []byte("\xff{"),
	}
	if diff := cmp.Diff(want, buried); diff != "" {
		t.Errorf("buried differently:\n%s", diff)
	}
	if len(garbage.Headers) != 3 {
		t.Error("Bury wrote into the delivery's own headers")
	}
	l := ParseLetter(&buried)
	if !errors.Is(l.Malformed, ErrMalformed) || l.Cause() != outcome.Undeliverable || l.Claim != uuid.Nil {
		t.Errorf("read as %+v", l)
	}
}

func TestBuryCutsDetailBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, detail := range []string{strings.Repeat("é", outcome.MaxDetail), "\xffbad" + strings.Repeat("😀", 200)} {
		m := Bury(message.Message{}, Verdict{Reason: outcome.BadAnswer, Detail: detail})
		if got := m.String(headerDetail); !utf8.ValidString(got) || len(got) > outcome.MaxDetail || len(got) < outcome.MaxDetail-3 {
			t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
	}
}

func TestCause(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		headers map[string]any
		want    outcome.Reason
	}{
		{nil, outcome.Undeliverable},
		{map[string]any{headerReason: "no_answer"}, outcome.NoAnswer},
		{map[string]any{headerReason: "made_up"}, outcome.Undeliverable},
		{map[string]any{"x-death": []any{map[string]any{"reason": "expired"}}}, outcome.Expired},
		{map[string]any{"x-death": []any{map[string]any{"reason": "delivery_limit"}}}, outcome.Undeliverable},
		{map[string]any{"x-death": []any{map[string]any{"reason": "rejected"}, map[string]any{"reason": "expired"}}}, outcome.Undeliverable},
		{map[string]any{"x-death": []any{map[string]any{"reason": "expired"}}, headerReason: "worker_lost"}, outcome.WorkerLost},
		{map[string]any{"x-death": "garbage"}, outcome.Undeliverable},
		{map[string]any{"x-death": []any{7, "x", map[string]any{"count": "x", "routing-keys": []any{1}, "time": "now"}}}, outcome.Undeliverable},
	} {
		l := ParseLetter(&message.Message{Headers: x.headers})
		if got := l.Cause(); got != x.want {
			t.Errorf("%v: %s, want %s", x.headers, got, x.want)
		}
	}
}

// FuzzParse: no property or header, however odd, breaks a reader, and a letter's words are always such as can be told.
func FuzzParse(f *testing.F) {
	c := command()
	f.Add("command", "default.acme.lamp-1", c.ID.String(), "acme.shop", "cupline-timeout", int64(1<<62), "text", []byte("{}"))
	f.Add("outcome", "acme.shop", "x", "", "cupline-redrive", int64(-1), "\xff", []byte(nil))
	f.Add("", "", "", "", "x-death", int64(0), "", []byte("\x00"))
	f.Fuzz(func(t *testing.T, kind, key, messageID, replyTo, header string, number int64, text string, body []byte) {
		for _, value := range []any{number, text, body, []any{number, map[string]any{"reason": text, "count": number}}} {
			m := c.Message(c.Accepted)
			m.Type, m.Key, m.ID, m.ReplyTo, m.Body = kind, key, messageID, replyTo, body
			m.Headers[header] = value
			if got, err := ParseCommand(&m); err == nil && (got.Timeout <= 0 || got.Deadline.Year() > 9999 || got.ID.String() != m.ID) {
				t.Fatalf("taken: %+v", got)
			}
			if got, err := ParseOutcome(&m); err == nil && (got.Redrive < 0 || got.CommandID.String() != m.ID) {
				t.Fatalf("taken: %+v", got)
			}
			m.Headers[headerDetail] = text
			l := ParseLetter(&m)
			if !l.Cause().Known() || !utf8.ValidString(l.Detail) || len(l.Detail) > outcome.MaxDetail {
				t.Fatalf("letter: %+v", l)
			}
		}
	})
}
