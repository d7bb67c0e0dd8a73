package catalog

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/identity"
)

func TestCheckType(t *testing.T) {
	t.Parallel()
	good := device.Type{Name: "lamp", Lane: "default", Driver: "mqtt", Methods: map[string]device.Method{
		"a": {Params: json.RawMessage(`{"type":"object"}`)}, "b": {},
	}}
	if got := CheckType(good); len(got) != 0 {
		t.Errorf("%q", got)
	}
	bad := device.Type{Name: "lamp", Lane: "a.b", Driver: "mqtt", Methods: map[string]device.Method{
		"b": {Params: json.RawMessage(`{"type":"objekt"}`)},
		"a": {Params: json.RawMessage(`{"$ref":"http://127.0.0.1/x"}`), Timeout: device.Duration(time.Hour)},
	}}
	got := CheckType(bad)
	want := []string{`lane "a.b"`, "methods.a.timeout", "methods.a.params: refers to http://127.0.0.1/x", "methods.b.params: not a JSON Schema: at '/type'"}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestCheckDevice(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		`{"url":"http://10.0.0.7/rpc"}`:          "",
		`{"url":"https://[::1]:8443/a?b=c"}`:     "",
		``:                                       "address.url: is missing",
		`{}`:                                     "address.url: is missing",
		`{"url":null}`:                           "address.url: is missing",
		`{"url":7}`:                              "address.url: must be a string",
		`{"url":""}`:                             "address.url: must start with http",
		`{"url":"/rpc"}`:                         "address.url: must start with http",
		`{"url":"ftp://a/b"}`:                    "address.url: must start with http",
		`{"url":"http:///rpc"}`:                  "address.url: must name a host",
		`{"url":"http://:80/rpc"}`:               "address.url: must name a host",
		`{"url":"http://u:p@a/rpc"}`:             "address.url: must not hold a user name",
		`{"url":"http://a/rpc#x"}`:               "address.url: must not have a fragment",
		`{"url":"http://a b/"}`:                  "address.url: must be a URL",
		`[]`:                                     "address: must be an object",
		`{"url":"http://10.0.0.7/","other":1}  `: "",
	} {
		d := device.Device{ID: "lamp-1", Type: "lamp", Address: json.RawMessage(address)}
		got := CheckDevice(d, DriverHTTP)
		if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
		if !strings.HasPrefix(address, "[") && len(CheckDevice(d, "mqtt")) != 0 {
			t.Errorf("%s: only the driver http needs a URL", address)
		}
	}
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	good := identity.NewKey{Client: "shop", Name: "the shop's back end", Scopes: []string{"commands:send", "replies:read"}, Expires: now.Add(time.Second)}
	if got := CheckKey(good, now); len(got) != 0 {
		t.Errorf("%q", got)
	}
	bad := identity.NewKey{
		Client: "a.b", Name: "x\x00", Expires: now,
		Scopes: []string{"commands:send", "root", "commands:send"},
	}
	got := CheckKey(bad, now)
	want := []string{`client "a.b"`, "name: ", `scopes: "root" is no scope`, "scopes: commands:send stands twice", "expires_at: must lie ahead"}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got %q", got)
	}
	if got := CheckKey(identity.NewKey{Client: "shop", Name: strings.Repeat("é", 129)}, now); len(got) != 2 {
		t.Errorf("no scopes, and a long name: %q", got)
	}
}
