package recorder

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cupline/cupline/schema/message"
)

func TestHeadersOfEveryKindAreKept(t *testing.T) {
	t.Parallel()
	got := table(map[string]any{
		"text": "é", "broken": "\xff", "bytes": []byte{1, 2}, "yes": true, "n": int64(math.MaxInt64), "small": int8(-1),
		"f": 1.5, "nan": math.NaN(), "single": float32(0.5), "at": start,
		"list": []any{"a", []any{[]byte{3}}}, "map": map[string]any{"x": map[string]any{"y": math.Inf(1)}}, "nothing": nil,
	})
	const want = `{"text":"é","broken":{"base64":"/w=="},"bytes":{"base64":"AQI="},"yes":true,"n":9223372036854775807,"small":-1,
		"f":1.5,"nan":{"float":"NaN"},"single":0.5,"at":{"time":"2026-01-02T03:04:05Z"},
		"list":["a",[{"base64":"Aw=="}]],"map":{"x":{"y":{"float":"+Inf"}}},"nothing":null}`
	if diff := cmp.Diff(decode(t, []byte(want)), decode(t, got)); diff != "" {
		t.Error(diff)
	}
	if got := table(nil); string(got) != "{}" {
		t.Errorf("no headers are %s", got)
	}
}

func TestPropertiesAreKept(t *testing.T) {
	t.Parallel()
	m := message.Message{
		Exchange: "e", Key: "k", ID: "i", Type: "t", ContentType: "c", CorrelationID: "o", ReplyTo: "r", AppID: "a",
		Expiration: 2 * time.Second, Timestamp: start, Transient: true,
	}
	const want = `{"exchange":"e","key":"k","message_id":"i","type":"t","content_type":"c","correlation_id":"o","reply_to":"r",
		"app_id":"a","expiration_ms":2000,"timestamp":"2026-01-02T03:04:05Z","transient":true}`
	if diff := cmp.Diff(decode(t, []byte(want)), decode(t, properties(&m))); diff != "" {
		t.Error(diff)
	}
	far := message.Message{Timestamp: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}
	if got := properties(&far); string(got) != `{"key":""}` {
		t.Errorf("a time that RFC 3339 cannot write: %s", got)
	}
}

func decode(t *testing.T, b []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return v
}

func BenchmarkResolve(b *testing.B) {
	m := buried(sent(setRelay), verdictOfNoDriver)
	b.ReportAllocs()
	for b.Loop() {
		if r := read(&m).resolve(nil, start); r.Letter == nil {
			b.Fatal("no letter")
		}
	}
}
