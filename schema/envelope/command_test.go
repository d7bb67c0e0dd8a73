package envelope

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/internal/golden"
	"github.com/cupline/cupline/schema/message"
)

func id(last string) uuid.UUID { return uuid.MustParse("01908c3e-7d2a-7000-8000-0000000000" + last) }

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

// command is a client's own post with everything that has a default left at it.
func command() Command {
	return Command{
		Lane: "default", Tenant: "acme", Device: "lamp-1", Client: "shop@1", ID: id("01"),
		DeviceType: "lamp", Driver: "mqtt", Timeout: 5 * time.Second,
		Accepted: at("2026-03-01T12:00:00.25Z"), Deadline: at("2026-03-01T12:00:30.25Z"),
		Body: []byte(`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`),
	}
}

// full has every field set.
func full() Command {
	c := command()
	c.ID, c.Redrive, c.RedriveOf = id("02"), 2, id("01")
	c.Idempotent, c.Unledgered = true, true
	c.Trace = Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "vendor=value"}
	c.Body = []byte("{\"jsonrpc\":\"2.0\", \"method\":\"\u00e9cho\"}")
	return c
}

func TestCommandGolden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Command{"command.json": command(), "command-full.json": full()} {
		m := c.Message(c.Accepted)
		golden.Check(t, name, golden.Write(t, m))
		read := golden.ReadMessage(t, name)
		got, err := ParseCommand(&read)
		if diff := cmp.Diff(c, got); err != nil || diff != "" {
			t.Errorf("%s reads back differently, %v:\n%s", name, err, diff)
		}
	}
}

// The version after this one may add headers; the one before lacks what was added since.
func TestCommandOfNeighbourVersions(t *testing.T) {
	t.Parallel()
	c := command()
	m := c.Message(c.Accepted)
	m.Headers[headerVersion] = int64(Version + 1)
	m.Headers["cupline-not-invented-yet"] = []any{"x", int64(1)}
	if got, err := ParseCommand(&m); err != nil || !cmp.Equal(c, got) {
		t.Errorf("version %d: %v\n%s", Version+1, err, cmp.Diff(c, got))
	}
	for _, version := range []any{int64(Version + 2), int64(0), "1", nil} {
		m.Headers[headerVersion] = version
		if _, err := ParseCommand(&m); !errors.Is(err, ErrMalformed) {
			t.Errorf("version %v: %v", version, err)
		}
	}
}

func TestCommandExpiration(t *testing.T) {
	t.Parallel()
	c := command()
	for _, x := range []struct{ now, want time.Duration }{
		{0, 30 * time.Second},
		{-time.Second, 31 * time.Second},
		{10*time.Second + 300*time.Microsecond, 19999 * time.Millisecond},
		{30 * time.Second, time.Millisecond},
		{time.Hour, time.Millisecond},
	} {
		if got := c.Message(c.Accepted.Add(x.now)).Expiration; got != x.want {
			t.Errorf("%s after acceptance: %s, want %s", x.now, got, x.want)
		}
	}
}

// Whatever the width in which a broker or another library hands an integer back.
func TestIntegersOfEveryWidth(t *testing.T) {
	t.Parallel()
	for _, one := range []any{int64(1), int32(1), int16(1), int8(1), uint8(1), int(1)} {
		c := command()
		m := c.Message(c.Accepted)
		m.Headers[headerVersion] = one
		m.Headers[headerTimeout] = one
		if got, err := ParseCommand(&m); err != nil || got.Timeout != time.Millisecond {
			t.Errorf("%T: %s, %v", one, got.Timeout, err)
		}
	}
}

func TestParseCommandNamesEveryProblem(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name  string
		spoil func(m *message.Message)
		want  string
	}{
		{"type", func(m *message.Message) { m.Type = "outcome" }, "type: must be command"},
		{"two parts", func(m *message.Message) { m.Key = "default.acme" }, "routing key: not <lane>.<tenant>.<device>"},
		{"four parts", func(m *message.Message) { m.Key += ".x" }, "routing key: not <lane>.<tenant>.<device>"},
		{"no reply-to", func(m *message.Message) { m.ReplyTo = "" }, "reply-to: not <tenant>.<client>"},
		{"another tenant's reply-to", func(m *message.Message) { m.ReplyTo = "evil.shop" }, "reply-to: not <tenant>.<client>"},
		{"message-id", func(m *message.Message) { m.ID = "7" }, "message-id: not a UUID"},
		{"message-id's form", func(m *message.Message) { m.ID = "{" + m.ID + "}" }, "message-id: not a UUID"},
		{"message-id without dashes", func(m *message.Message) { m.ID = strings.ReplaceAll(m.ID, "-", "") }, "message-id: not a UUID"},
		{"accepted", func(m *message.Message) { delete(m.Headers, headerAccepted) }, "cupline-accepted: must be a positive"},
		{"deadline", func(m *message.Message) { m.Headers[headerDeadline] = int64(-1) }, "cupline-deadline: must be a positive"},
		{"far deadline", func(m *message.Message) { m.Headers[headerDeadline] = int64(1 << 62) }, "cupline-deadline: must be a positive"},
		{"timeout", func(m *message.Message) { m.Headers[headerTimeout] = "5s" }, "cupline-timeout: must be a positive"},
		{"timeout past time.Duration", func(m *message.Message) { m.Headers[headerTimeout] = int64(1 << 47) }, "cupline-timeout: must be at most"},
		{"device type", func(m *message.Message) { m.Headers[headerDeviceType] = "a.b" }, "cupline-device-type: not an id"},
		{"driver", func(m *message.Message) { delete(m.Headers, headerDriver) }, "cupline-driver: not an id"},
		{"redrive", func(m *message.Message) { m.Headers[headerRedrive] = int64(0) }, "cupline-redrive: out of range"},
		{"redrive of", func(m *message.Message) { m.Headers[headerRedrive] = int64(1) }, "cupline-redrive-of: not a UUID"},
	} {
		c := command()
		m := c.Message(c.Accepted)
		x.spoil(&m)
		got, err := ParseCommand(&m)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %s", x.name, err, x.want)
		}
		if !bytes.Equal(got.Body, c.Body) {
			t.Errorf("%s: the body was not kept", x.name)
		}
	}
	var empty message.Message
	if _, err := ParseCommand(&empty); err == nil || strings.Count(err.Error(), "\n") < 7 {
		t.Errorf("an empty message has more problems than %v", err)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	c := command()
	same, device, body := command(), command(), command()
	same.ID, same.Client, same.Lane = id("77"), "other", "slow"
	device.Device = "lamp-2"
	body.Body = append(bytes.Clone(c.Body), ' ')
	if c.Digest() != same.Digest() {
		t.Error("the digest is of device and body alone")
	}
	if c.Digest() == device.Digest() || c.Digest() == body.Digest() {
		t.Error("another device or body has another digest")
	}
}

func BenchmarkCommandMessage(b *testing.B) {
	c := command()
	b.ReportAllocs()
	for b.Loop() {
		c.Message(c.Accepted)
	}
}

func BenchmarkParseCommand(b *testing.B) {
	c := command()
	m := c.Message(c.Accepted)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCommand(&m); err != nil {
			b.Fatal(err)
		}
	}
}
