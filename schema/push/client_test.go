package push

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cupline/cupline/schema/internal/golden"
)

func every() []ClientFrame {
	return []ClientFrame{
		{Type: TypeHello, Token: "cup_0123", Session: "s-0190", Window: 64},
		{Type: TypeHello},
		{Type: TypeAck, Seq: 1 << 53},
		{Type: TypeAuth, Token: "cup_4567"},
		{Type: TypeSubscribe, Device: "lamp-1", Event: "temperature.*"},
		{Type: TypeUnsubscribe, Device: "lamp-1", Event: "temperature.*"},
		{Type: TypePong},
		{Type: TypeBye},
	}
}

func TestClientGolden(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	for _, f := range every() {
		lines.Write(f.Line())
		lines.WriteByte('\n')
	}
	golden.Check(t, "push-client.jsonl", lines.Bytes())
	var got []ClientFrame
	if err := ParseClient(golden.Read(t, "push-client.jsonl"), func(f ClientFrame) error { got = append(got, f); return nil }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, every()) {
		t.Errorf("read back as %+v", got)
	}
}

func TestParseClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, types, problem string
	}{
		{``, "", ""},
		{"\n \r\n\t", "", ""},
		{`{"type":"pong"}`, "pong", ""},
		{"{\"type\":\"ack\",\"seq\":3}\r\n\n{\"type\":\"bye\",\"new\":[1]}\n", "ack bye", ""},
		{"{\"type\":\"pong\"}\n{\"type\":\"ack\",\"seq\":-1}", "pong", "a frame is not a JSON object"},
		{`{"type":"ack","seq":1.5}`, "", "a frame is not a JSON object"},
		{`{"type":"ack"`, "", "a frame is not a JSON object"},
		{`{"type":"ack"} {"type":"bye"}`, "", "a frame is not a JSON object"},
		{`[]`, "", "a frame is not a JSON object"},
		{`{}`, "", "a frame has no type"},
		{`null`, "", "a frame has no type"},
		{`{"type":"x"}` + strings.Repeat(" ", MaxClientFrame), "", "at most 16384 are allowed"},
	} {
		var types []string
		err := ParseClient([]byte(c.text), func(f ClientFrame) error { types = append(types, f.Type); return nil })
		if strings.Join(types, " ") != c.types {
			t.Errorf("%.60q: frames %v, want %s", c.text, types, c.types)
		}
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.problem)
		}
	}
}

func TestParseClientStopsAtTheCallbacksError(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	calls := 0
	err := ParseClient([]byte("{\"type\":\"a\"}\n{\"type\":\"b\"}"), func(ClientFrame) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// FuzzParseClient: no bytes break the reader, and each frame it takes is written back as one that reads the same.
func FuzzParseClient(f *testing.F) {
	for _, frame := range every() {
		f.Add(frame.Line())
	}
	f.Add([]byte("{\"type\":\"a\"}\n\n[]\n\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = ParseClient(b, func(frame ClientFrame) error {
			line := frame.Line()
			if len(line) > MaxClientFrame {
				return nil // escapes make it longer than it came
			}
			again := 0
			err := ParseClient(line, func(same ClientFrame) error {
				again++
				if same != frame {
					t.Fatalf("%+v read back as %+v", frame, same)
				}
				return nil
			})
			if err != nil || again != 1 {
				t.Fatalf("%+v: %d frames, %v", frame, again, err)
			}
			return nil
		})
	})
}

func BenchmarkParseClientAck(b *testing.B) {
	line := ClientFrame{Type: TypeAck, Seq: 123456}.Line()
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseClient(line, func(ClientFrame) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
