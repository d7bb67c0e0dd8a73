package envelope

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cupline/cupline/schema/internal/golden"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

func answered() Outcome {
	return Outcome{
		Tenant: "acme", Client: "shop@1", CommandID: id("01"), Device: "lamp-1", Method: "relay.set", Lane: "default",
		Origin: OriginDevice, Accepted: at("2026-03-01T12:00:00.25Z"), At: at("2026-03-01T12:00:00.5Z"),
		Body: []byte(`{"jsonrpc":"2.0","id":"c-42","result":{"on":true}}`),
	}
}

func failed() Outcome {
	o := answered()
	o.CommandID, o.Redrive, o.Origin, o.Reason = id("02"), 2, OriginPlatform, outcome.NoAnswer
	o.Trace = Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "vendor=value"}
	o.Body = outcome.Failure{
		Reason: outcome.NoAnswer, Executed: outcome.Maybe, CommandID: id("02").String(), Device: "lamp-1",
	}.Response([]byte(`"c-42"`))
	return o
}

func TestOutcomeGolden(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Outcome{"outcome-device.json": answered(), "outcome-platform.json": failed()} {
		golden.Check(t, name, golden.Write(t, o.Message()))
		read := golden.ReadMessage(t, name)
		got, err := ParseOutcome(&read)
		if diff := cmp.Diff(o, got); err != nil || diff != "" {
			t.Errorf("%s reads back differently, %v:\n%s", name, err, diff)
		}
	}
}

// A reply that waited in a pusher's queue reaches the mailbox with the broker's history, as the same outcome.
func TestOutcomeDeadLetteredToTheMailbox(t *testing.T) {
	t.Parallel()
	o := answered()
	m := o.Message()
	m.Exchange = topology.MailboxExchange
	m.Headers["x-death"] = []any{map[string]any{"queue": "cupline.push.0", "reason": "expired", "count": int64(1)}}
	m.Headers["x-first-death-reason"] = "expired"
	if got, err := ParseOutcome(&m); err != nil || !cmp.Equal(o, got) {
		t.Errorf("%v\n%s", err, cmp.Diff(o, got))
	}
}

func TestOutcomeOfTheNextVersion(t *testing.T) {
	t.Parallel()
	o := answered()
	m := o.Message()
	m.Headers[headerVersion] = int64(Version + 1)
	m.Headers["cupline-not-invented-yet"] = true
	if got, err := ParseOutcome(&m); err != nil || !cmp.Equal(o, got) {
		t.Errorf("%v\n%s", err, cmp.Diff(o, got))
	}
	m.Headers[headerVersion] = int64(Version + 2)
	if _, err := ParseOutcome(&m); !errors.Is(err, ErrMalformed) {
		t.Errorf("two versions ahead: %v", err)
	}
}

func TestParseOutcomeNamesEveryProblem(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		spoil func(m *message.Message)
		want  string
	}{
		{func(m *message.Message) { m.Type = TypeAnnounce }, "type: must be outcome"},
		{func(m *message.Message) { m.Key = "acme" }, "routing key: not <tenant>.<client>"},
		{func(m *message.Message) { m.Key = "acme.a.b" }, "routing key: not <tenant>.<client>"},
		{func(m *message.Message) { m.ID = "" }, "message-id: not a UUID"},
		{func(m *message.Message) { delete(m.Headers, headerAt) }, "cupline-at: must be a positive"},
		{func(m *message.Message) { delete(m.Headers, headerAccepted) }, "cupline-accepted: must be a positive"},
		{func(m *message.Message) { m.Headers[headerOrigin] = "nowhere" }, "cupline-origin: must be device or platform"},
		{func(m *message.Message) { m.Headers[headerRedrive] = int64(1 << 40) }, "cupline-redrive: out of range"},
	} {
		o := answered()
		m := o.Message()
		x.spoil(&m)
		if _, err := ParseOutcome(&m); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("got %v, want %s", err, x.want)
		}
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	golden.Check(t, "announce.json", golden.Write(t, Announce("acme", "shop@1")))
	golden.Check(t, "release.json", golden.Write(t, Release("acme", "shop@1", "s-0190")))
	read := golden.ReadMessage(t, "release.json")
	if got := ReleasedSession(&read); got != "s-0190" {
		t.Errorf("released session %q", got)
	}
}

func BenchmarkOutcomeMessage(b *testing.B) {
	o := answered()
	b.ReportAllocs()
	for b.Loop() {
		o.Message()
	}
}

func BenchmarkParseOutcome(b *testing.B) {
	o := answered()
	m := o.Message()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseOutcome(&m); err != nil {
			b.Fatal(err)
		}
	}
}
