package push

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/internal/golden"
)

func sample() Outcome {
	return Outcome{
		Seq: 7, ID: []byte(`"c-42"`), CommandID: "01908c3e-7d2a-7000-8000-000000000001", Device: "lamp-1", Method: "relay.set",
		At: time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC), Origin: "device", Source: SourceLive,
		Response: []byte(`{"jsonrpc":"2.0","id":"c-42","result":{"on":true}}`),
	}
}

// Every frame that a server sends, one a line: the clients' tests read the same file.
func TestServerGolden(t *testing.T) {
	t.Parallel()
	stored, unnamed := sample(), sample()
	stored.Seq, stored.ID, stored.Redrive, stored.Origin, stored.Source = 8, []byte(`-7`), 2, "platform", SourceMailbox
	stored.Method = "überschrift\n\"x\""
	stored.Response = []byte(`{"jsonrpc":"2.0","id":-7,"error":{"code":-32012,"message":"no answer from the device","data":{"reason":"no_answer","executed":"maybe","command_id":"01908c3e-7d2a-7000-8000-000000000001","device":"lamp-1"}}}`)
	unnamed.Seq, unnamed.ID = 9, nil
	var lines bytes.Buffer
	for _, frame := range [][]byte{
		Encode(TypeWelcome, Welcome{Session: "s-0190", Client: "shop@1", Window: 64, Ping: 25, Waiting: 3, Missed: 1, Reconnect: 60}),
		sampleBytes(sample()), sampleBytes(stored), sampleBytes(unnamed),
		Encode(TypeLag, Lag{On: true, Waiting: 120}), Encode(TypeLag, Lag{}),
		Encode(TypePing, struct{}{}),
		Encode(TypeDrain, Drain{In: 1500}),
		Encode(TypeError, Error{Code: "bad_frame", Message: "a frame has no type", Temporary: false}),
	} {
		lines.Write(frame)
		lines.WriteByte('\n')
	}
	golden.Check(t, "push-server.jsonl", lines.Bytes())
}

func sampleBytes(o Outcome) []byte { return o.Append(nil) }

func TestOutcomeAppend(t *testing.T) {
	t.Parallel()
	o := sample()
	o.Seq, o.At = 0, o.At.In(time.FixedZone("east", 3600))
	got := o.Append([]byte("kept,"))
	want := `kept,{"type":"outcome","id":"c-42","command_id":"01908c3e-7d2a-7000-8000-000000000001","redrive":0,` +
		`"device":"lamp-1","method":"relay.set","at":"2026-03-01T12:00:00.25Z","origin":"device","source":"live",` +
		`"response":{"jsonrpc":"2.0","id":"c-42","result":{"on":true}}}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// FuzzOutcomeAppend: whatever a method or device is called, the frame is one line of JSON that says the same.
func FuzzOutcomeAppend(f *testing.F) {
	f.Add("relay.set", "lamp-1", uint64(1))
	f.Add("a\"\\\n\u2028\x00\x7f", "é\xff", uint64(0))
	f.Fuzz(func(t *testing.T, method, device string, seq uint64) {
		o := sample()
		o.Method, o.Device, o.Seq = method, device, seq
		b := o.Append(nil)
		var seen struct {
			Method, Device string
			Seq            uint64
		}
		if err := json.Unmarshal(b, &seen); err != nil || bytes.ContainsAny(b, "\r\n") {
			t.Fatalf("%q: %v", b, err)
		}
		if valid(method) && seen.Method != method || valid(device) && seen.Device != device || seen.Seq != seq {
			t.Fatalf("%q became %+v", b, seen)
		}
	})
}

func valid(s string) bool { return string(bytes.ToValidUTF8([]byte(s), nil)) == s }

func TestCloseCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   CloseCode
		number int
		advice Advice
		reason string
	}{
		{BadFrame, 4000, Stop, "bad frame"}, {BadToken, 4001, Stop, "bad token"}, {Forbidden, 4002, Stop, "forbidden"},
		{NoHello, 4003, Stop, "no hello"}, {Revoked, 4004, Stop, "revoked"},
		{Internal, 4100, BackOff, "internal error"}, {Overloaded, 4101, BackOff, "overloaded"}, {RateLimited, 4102, BackOff, "rate limit"},
		{BrokerAway, 4103, BackOff, "broker away"}, {TooManyConnections, 4104, BackOff, "too many connections"},
		{Drained, 4200, Resume, "drain"}, {NoPong, 4201, Resume, "no pong"}, {AckTimeout, 4202, Resume, "ack timeout"},
		{TokenExpired, 4203, Resume, "token expired"},
		{1006, 1006, Resume, ""}, {4099, 4099, Stop, ""}, {4199, 4199, BackOff, ""}, {4299, 4299, Resume, ""},
	} {
		if int(c.code) != c.number || c.code.Advice() != c.advice || c.code.Reason() != c.reason {
			t.Errorf("%d: %s, %q; want %d %s %q", c.code, c.code.Advice(), c.code.Reason(), c.number, c.advice, c.reason)
		}
	}
}

func BenchmarkOutcomeAppend(b *testing.B) {
	o := sample()
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buffer = o.Append(buffer[:0])
	}
}
