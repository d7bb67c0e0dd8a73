package device

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func lamp() Type {
	return Type{Name: "lamp", Lane: "default", Driver: "mqtt", Methods: map[string]Method{
		"relay.set": {Timeout: Duration(5 * time.Second), TTL: Duration(time.Minute), Params: json.RawMessage(`{"type":"object"}`)},
		"host.info": {Idempotent: true},
	}}
}

func TestMethodDefaults(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Method{
		"relay.set":  {Timeout: Duration(5 * time.Second), TTL: Duration(time.Minute), Params: json.RawMessage(`{"type":"object"}`)},
		"host.info":  {Idempotent: true, Timeout: Duration(DefaultTimeout), TTL: Duration(DefaultTTL)},
		"never.said": {Timeout: Duration(DefaultTimeout), TTL: Duration(DefaultTTL)},
	} {
		got := lamp().Method(name)
		if got.Idempotent != want.Idempotent || got.Timeout != want.Timeout || got.TTL != want.TTL || string(got.Params) != string(want.Params) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTypeCheck(t *testing.T) {
	t.Parallel()
	if err := lamp().Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		spoil func(*Type)
		want  string
	}{
		{func(x *Type) { x.Name = "" }, `type "": must be 1 to 64`},
		{func(x *Type) { x.Lane = "a.b" }, `lane "a.b": must be`},
		{func(x *Type) { x.Driver = "a/b" }, `driver "a/b": must be`},
		{func(x *Type) { x.Methods[""] = Method{} }, "must be 1 to 128 characters"},
		{func(x *Type) { x.Methods[strings.Repeat("é", 129)] = Method{} }, "must be 1 to 128 characters"},
		{func(x *Type) { x.Methods["a\nb"] = Method{} }, `methods: the name "a\nb" must not have control characters`},
		{func(x *Type) { x.Methods["m"] = Method{Timeout: -1} }, "methods.m.timeout: must be 10ms to 20m0s"},
		{func(x *Type) { x.Methods["m"] = Method{Timeout: Duration(MaxTimeout + 1)} }, "methods.m.timeout: must be"},
		{func(x *Type) { x.Methods["m"] = Method{TTL: Duration(time.Microsecond)} }, "methods.m.ttl: must be 1ms to 24h0m0s"},
		{func(x *Type) { x.Methods["m"] = Method{TTL: Duration(MaxTTL + 1)} }, "methods.m.ttl: must be"},
		{func(x *Type) { x.Methods["m"] = Method{Params: make([]byte, MaxParamsSchema+1)} }, "methods.m.params: must be at most"},
		{func(x *Type) {
			for i := range MaxMethods {
				x.Methods[strings.Repeat("m", i%128+1)+string(rune('a'+i/128))] = Method{}
			}
		}, "methods: must be at most 256"},
	} {
		x := lamp()
		c.spoil(&x)
		if err := x.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	if err := (Type{}).Check(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("an empty type has three problems: %v", err)
	}
}

func TestDeviceCheck(t *testing.T) {
	t.Parallel()
	good := Device{ID: "lamp-1", Type: "lamp", Address: json.RawMessage(` {"url":"http://10.0.0.7/rpc"}`), Labels: map[string]string{"room": ""}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	many := map[string]string{}
	for i := range MaxLabels + 1 {
		many[strings.Repeat("l", i+1)] = ""
	}
	for _, c := range []struct {
		spoil func(*Device)
		want  string
	}{
		{func(d *Device) { d.ID = "a#" }, `device "a#": must be`},
		{func(d *Device) { d.Type = "" }, `type "": must be`},
		{func(d *Device) { d.Address = json.RawMessage(`"x"`) }, "address: must be an object"},
		{func(d *Device) { d.Address = make([]byte, MaxAddress+1) }, "address: must be at most 4096 bytes"},
		{func(d *Device) { d.Labels = many }, "labels: must be at most 32"},
		{func(d *Device) { d.Labels = map[string]string{"": "x"} }, "labels: names of 1"},
		{func(d *Device) { d.Labels = map[string]string{"x": strings.Repeat("y", MaxLabelLength+1)} }, "labels: names of 1"},
		{func(d *Device) { d.Labels = map[string]string{"x": "\xff"} }, "labels: names of 1"},
	} {
		d := good
		c.spoil(&d)
		if err := d.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestDurationInJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{`"30s"`: 30 * time.Second, `"1m30s"`: 90 * time.Second, `"0"`: 0, `"-1ms"`: -time.Millisecond} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{`30`, `"30"`, `""`, `"soon"`, `{}`, `true`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s was taken as %s", text, time.Duration(d))
		}
	}
	b, err := json.Marshal(Method{Timeout: Duration(90 * time.Second)})
	if err != nil || string(b) != `{"timeout":"1m30s"}` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestTopics(t *testing.T) {
	t.Parallel()
	if got := CommandsKey("acme", "lamp-1", "d-7"); got != "devices.acme.lamp-1.commands.d-7" {
		t.Error(got)
	}
	if got := CommandsFilter("acme", "lamp-1"); got != "devices/acme/lamp-1/commands/+" {
		t.Error(got)
	}
	if got := Login("acme", "lamp-1"); got != "acme/lamp-1" {
		t.Error(got)
	}
	tenant, id, dispatcher, ok := ParseRepliesKey(RepliesKey("acme", "lamp-1", "d-7"))
	if !ok || tenant != "acme" || id != "lamp-1" || dispatcher != "d-7" {
		t.Errorf("%s %s %s %v", tenant, id, dispatcher, ok)
	}
	for _, key := range []string{
		"", "devices.acme.lamp-1.replies", "devices.acme.lamp-1.replies.d.7", "devices.acme.lamp-1.commands.d-7",
		"things.acme.lamp-1.replies.d-7", "devices..lamp-1.replies.d-7", "devices.acme.lamp+1.replies.d-7", "devices.acme.lamp-1.replies.",
	} {
		if _, _, _, ok := ParseRepliesKey(key); ok {
			t.Errorf("%q was taken", key)
		}
	}
	if answer, ok := AnswerTopic("devices/acme/lamp-1/commands/d-7"); !ok || answer != "devices/acme/lamp-1/replies/d-7" {
		t.Errorf("%s %v", answer, ok)
	}
	for _, topic := range []string{"", "devices/acme/lamp-1/replies/d-7", "devices/acme/lamp-1/commands", "a/b/c/commands/d"} {
		if answer, ok := AnswerTopic(topic); ok {
			t.Errorf("%q was answered on %q", topic, answer)
		}
	}
}

func BenchmarkParseRepliesKey(b *testing.B) {
	key := RepliesKey("acme", "lamp-1", "d-7")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, ok := ParseRepliesKey(key); !ok {
			b.Fatal(key)
		}
	}
}
