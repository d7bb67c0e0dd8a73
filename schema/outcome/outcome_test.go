package outcome

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cupline/cupline/schema/internal/golden"
	"github.com/cupline/cupline/schema/jsonrpc"
)

// The table of the contract, written out a second time: these words never change.
func TestVocabulary(t *testing.T) {
	t.Parallel()
	contract := []struct {
		code               int
		reason             string
		unstarted, started Executed
	}{
		{-32010, "expired", "no", "no"},
		{-32011, "device_offline", "no", "no"},
		{-32012, "no_answer", "maybe", "maybe"},
		{-32013, "worker_lost", "maybe", "maybe"},
		{-32014, "bad_answer", "maybe", "maybe"},
		{-32015, "undeliverable", "no", "maybe"},
		{-32016, "duplicate_id", "no", "no"},
		{-32017, "discarded", "no", "no"},
		{-32018, "device_busy", "no", "no"},
		{-32019, "unrecordable", "maybe", "maybe"},
	}
	all := Reasons()
	if len(all) != len(contract) {
		t.Fatalf("%d reasons, the contract has %d", len(all), len(contract))
	}
	for i, c := range contract {
		r := all[i]
		if string(r) != c.reason || r.Code() != c.code || !r.Known() || r.Message() == "" {
			t.Errorf("got %s %d, want %s %d", r, r.Code(), c.reason, c.code)
		}
		if r.Executed(false) != c.unstarted || r.Executed(true) != c.started {
			t.Errorf("%s: executed %s unstarted, %s started", r, r.Executed(false), r.Executed(true))
		}
	}
	unknown := Reason("made_up")
	if unknown.Known() || unknown.Code() != 0 || unknown.Executed(false) != Maybe {
		t.Error("of a reason that is not known nobody can say that nothing was executed")
	}
}

func TestFailuresGolden(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	for _, r := range Reasons() {
		f := Failure{Reason: r, Executed: r.Executed(false), CommandID: "01908c3e-7d2a-7000-8000-000000000001", Device: "lamp-1"}
		if r == DuplicateID {
			f.FirstCommandID, f.FirstState = "01908c3e-7d2a-7000-8000-00000000000f", "decided"
		}
		if r == BadAnswer {
			f.Detail = "\"quoted\", <b> & 10\u00a0MiB"
		}
		lines.Write(f.Response([]byte(`"c-42"`)))
		lines.WriteByte('\n')
	}
	golden.Check(t, "failures.jsonl", lines.Bytes())
}

func TestFailureIsAResponse(t *testing.T) {
	t.Parallel()
	for _, id := range []string{`"c-42"`, `-7`, `"\u0063"`, ``} {
		for _, r := range append(Reasons(), "made_up") {
			f := Failure{Reason: r, Executed: Maybe, CommandID: "x", Device: "d", Detail: "a\nb\xff" + strings.Repeat("é", MaxDetail)}
			b := f.Response([]byte(id))
			response, err := jsonrpc.ParseResponse(b)
			if err != nil || !response.Failed || bytes.ContainsAny(b, "\n\r") {
				t.Fatalf("%s: %v", b, err)
			}
			want := id
			if want == "" {
				want = "null"
			}
			if string(response.ID) != want {
				t.Errorf("id %s, want %s", response.ID, want)
			}
			if !bytes.Equal(b, f.Response([]byte(id))) {
				t.Errorf("%s: two writers tell different bytes", r)
			}
		}
	}
}

func TestDetail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"a\xffb", "a\uFFFDb"},
		{strings.Repeat("a", MaxDetail), strings.Repeat("a", MaxDetail)},
		{strings.Repeat("a", MaxDetail+1), strings.Repeat("a", MaxDetail)},
		{strings.Repeat("a", MaxDetail-1) + "é", strings.Repeat("a", MaxDetail-1)},
		{strings.Repeat("a", MaxDetail-2) + "é!", strings.Repeat("a", MaxDetail-2) + "é"},
	} {
		if got := Detail(c.in); got != c.want || !utf8.ValidString(got) {
			t.Errorf("%.20q...: got %d bytes", c.in, len(got))
		}
	}
}

func TestFailureData(t *testing.T) {
	t.Parallel()
	var told struct {
		Error struct {
			Code    int            `json:"code"`
			Message string         `json:"message"`
			Data    map[string]any `json:"data"`
		} `json:"error"`
	}
	f := Failure{Reason: NoAnswer, Executed: Maybe, CommandID: "c", Device: "lamp-1"}
	if err := json.Unmarshal(f.Response([]byte(`1`)), &told); err != nil {
		t.Fatal(err)
	}
	data := told.Error.Data
	if told.Error.Code != -32012 || told.Error.Message != "no answer from the device" || len(data) != 4 ||
		data["reason"] != "no_answer" || data["executed"] != "maybe" || data["command_id"] != "c" || data["device"] != "lamp-1" {
		t.Errorf("told %+v", told)
	}
}

func BenchmarkFailureResponse(b *testing.B) {
	f := Failure{Reason: NoAnswer, Executed: Maybe, CommandID: "01908c3e-7d2a-7000-8000-000000000001", Device: "lamp-1"}
	id := []byte(`"c-42"`)
	b.ReportAllocs()
	for b.Loop() {
		f.Response(id)
	}
}
