package app

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/contracttest"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
)

// What tenants describe: made, read, listed, replaced, deleted, and refused with every problem named.
func TestRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.putLane(topology.Lane{Name: "loose", MaxTTL: time.Minute, MaxLength: 10, LedgerOff: true})
	w.putLane(topology.Lane{Name: "vip", MaxTTL: time.Minute, MaxLength: 10, Tenants: []string{"other"}})
	for name, test := range map[string]func(*testing.T, *world){
		"Devices": devices, "DeviceTypes": deviceTypes, "Lanes": listOfLanes, "Keys": keys, "Pages": pages,
		"NothingOfOtherTenants": nothingOfOthers, "Scopes": scopes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := *w
			here.t = t
			test(t, &here)
		})
	}
}

func devices(t *testing.T, w *world) {
	const path = "/v1/devices/kitchen@1"
	put := `{"type":"lamp","address":{"url" :"http://10.0.0.7/<rpc>"},"labels":{"room":"kitchen"}}`
	told := `{"device":"kitchen@1","type":"lamp","address":{"url":"http://10.0.0.7/<rpc>"},"labels":{"room":"kitchen"}}`
	w.expect(w.do("GET", path, ""), 404, "unknown_device")
	for _, status := range []int{201, 200} {
		if got := w.do("PUT", path, put); got.status != status || got.body != told {
			t.Errorf("got %v, want %d", got, status)
		}
	}
	if got := w.do("GET", "/v1/devices/kitchen%401", ""); got.status != 200 || got.body != told {
		t.Errorf("got %v", got)
	}
	w.expect(w.do("PUT", path, told), 200, "") // what was read can be written
	for _, c := range []struct {
		path, body string
		status     int
		code, told string
	}{
		{path, `{"type":"none"}`, 422, "unknown_type", `"field":"type"`},
		{path, `{}`, 422, "invalid_description", `type \"\": must be`},
		{path, `{"type":"lamp","labels":{"":"x"},"address":[]}`, 422, "invalid_description", `"problems":["address: must be an object","labels: names`},
		{path, `{"type":"lamp","lables":{}}`, 400, "invalid_request", `unknown field \"lables\"`},
		{path, `{"type":7}`, 400, "invalid_request", `"field":"type"`},
		{path, `{"type":"lamp","device":"another"}`, 400, "invalid_request", `"field":"device"`},
		{path, `[]`, 400, "invalid_request", "must be a JSON object"},
		{path, `{"type":"lamp"`, 400, "malformed", `"offset":14`},
		{path, `{"type":"lamp","labels":{"x":"` + strings.Repeat("x", 40<<10) + `"}}`, 413, "too_large", ""},
		{"/v1/devices/a.b", `{"type":"lamp"}`, 422, "invalid_description", `device \"a.b\": must be`},
	} {
		got := w.do("PUT", c.path, c.body)
		w.expect(got, c.status, c.code)
		if !strings.Contains(got.body, c.told) {
			t.Errorf("%.60s: got %v, want %s", c.body, got, c.told)
		}
	}
	w.expect(w.do("PUT", "/v1/device-types/server", `{"lane":"default","driver":"http"}`), 201, "")
	w.expect(w.do("PUT", "/v1/devices/s1", `{"type":"server"}`), 422, "invalid_description")
	w.expect(w.do("PUT", "/v1/devices/s1", `{"type":"server","address":{"url":"ftp://x"}}`), 422, "invalid_description")
	w.expect(w.do("PUT", "/v1/devices/s1", `{"type":"server","address":{"url":"http://10.0.0.7/rpc"}}`), 201, "")
	w.expect(w.do("DELETE", path, ""), 204, "")
	w.expect(w.do("DELETE", path, ""), 404, "unknown_device")
	w.audited(t, "put_device", "delete_device")
}

func deviceTypes(t *testing.T, w *world) {
	const path = "/v1/device-types/pump"
	put := `{"lane":"default","driver":"mqtt","methods":{"run":{"idempotent":true,"timeout":"1m30s","ttl":"5s","params":{"type":"object"}}}}`
	told := `{"type":"pump","lane":"default","driver":"mqtt","methods":{"run":{"idempotent":true,"timeout":"1m30s","ttl":"5s","params":{"type":"object"}}}}`
	w.expect(w.do("GET", path, ""), 404, "not_found")
	for _, status := range []int{201, 200} {
		if got := w.do("PUT", path, put); got.status != status || got.body != told {
			t.Errorf("got %v, want %d", got, status)
		}
	}
	if got := w.do("GET", path, ""); got.status != 200 || got.body != told {
		t.Errorf("got %v", got)
	}
	w.expect(w.do("PUT", path, told), 200, "")
	for _, c := range []struct {
		body       string
		status     int
		code, told string
	}{
		{`{"lane":"none","driver":"mqtt"}`, 422, "unknown_lane", `"field":"lane"`},
		{`{"lane":"vip","driver":"mqtt"}`, 422, "unknown_lane", `"field":"lane"`},
		{`{"lane":"loose","driver":"mqtt"}`, 422, "not_idempotent", "each of them idempotent"},
		{`{"lane":"loose","driver":"mqtt","methods":{"run":{}}}`, 422, "not_idempotent", ""},
		{`{"lane":"default","driver":"m/q","methods":{"a":{"timeout":"1h","params":{"type":"objekt"}},"b":{"params":{"$ref":"http://127.0.0.1/x"}}}}`, 422, "invalid_description",
			`"problems":["driver \"m/q\": must be 1 to 64 of A-Z a-z 0-9 _ - @","methods.a.timeout: must be 10ms to 20m0s","methods.a.params: not a JSON Schema: at '/type'`},
		{`{"lane":"default","driver":"mqtt","methods":{"a":{"params":7}}}`, 422, "invalid_description", "methods.a.params"},
		{`{"lane":"default","driver":"mqtt","methods":{"a":{"timeout":30}}}`, 400, "invalid_request", "such as"},
		{`{"lane":"default","driver":"mqtt","methods":{"a":{"idempotant":true}}}`, 400, "invalid_request", `unknown field \"idempotant\"`},
		{`{"lane":"default","driver":"mqtt","type":"other"}`, 400, "invalid_request", `"field":"type"`},
		{`{"lane":`, 400, "malformed", `"offset":8`},
	} {
		got := w.do("PUT", path, c.body)
		w.expect(got, c.status, c.code)
		if !strings.Contains(got.body, c.told) {
			t.Errorf("%s: got %v, want %s", c.body, got, c.told)
		}
	}
	w.expect(w.do("PUT", "/v1/device-types/loose", `{"lane":"loose","driver":"mqtt","methods":{"run":{"idempotent":true}}}`), 201, "")
	w.expect(w.do("PUT", "/v1/devices/pump-1", `{"type":"pump"}`), 201, "")
	w.expect(w.do("DELETE", path, ""), 409, "in_use")
	w.expect(w.do("DELETE", "/v1/devices/pump-1", ""), 204, "")
	w.expect(w.do("DELETE", path, ""), 204, "")
	w.expect(w.do("DELETE", path, ""), 404, "not_found")
	w.audited(t, "put_device_type", "delete_device_type")
}

func listOfLanes(t *testing.T, w *world) {
	want := `{"lanes":[{"lane":"default","max_ttl":"1h0m0s","max_length":1000000,"ledger":true},{"lane":"loose","max_ttl":"1m0s","max_length":10,"ledger":false}]}`
	if got := w.do("GET", "/v1/lanes", ""); got.status != 200 || got.body != want {
		t.Errorf("got %v", got)
	}
}

func keys(t *testing.T, w *world) {
	got := w.do("POST", "/v1/keys", `{"client":"till","name":"Kasse <1>","scopes":["commands:send","replies:read"],"expires_at":"2999-01-01T00:00:00Z"}`)
	w.expect(got, 201, "")
	var made struct{ Key, Token string }
	w.into(got, &made)
	if !strings.HasPrefix(made.Token, "cup_") || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("made %v", got)
	}
	list := w.do("GET", "/v1/keys", "")
	if strings.Contains(list.body, made.Token) || strings.Contains(list.body, "token") || !strings.Contains(list.body, `"name":"Kasse <1>"`) {
		t.Errorf("listed %v", list)
	}
	for _, c := range []struct {
		body       string
		status     int
		code, told string
	}{
		{`{"client":"till","scopes":[]}`, 422, "invalid_description", "at least one"},
		{`{"client":"a.b","scopes":["root"],"expires_at":"2001-01-01T00:00:00Z"}`, 422, "invalid_description",
			`scopes: \"root\" is no scope","expires_at: must lie ahead"]`},
		{`{"client":"till","scopes":["ops:platform"]}`, 403, "forbidden", "ops:platform"},
		{`{"client":"till","scopes":["ops:read"],"expires_at":"tomorrow"}`, 400, "invalid_request", ""},
		{`{"client":"till","scopes":["ops:read"],"tenant":"other"}`, 400, "invalid_request", `unknown field \"tenant\"`},
	} {
		got := w.do("POST", "/v1/keys", c.body)
		w.expect(got, c.status, c.code)
		if !strings.Contains(got.body, c.told) {
			t.Errorf("%s: got %v, want %s", c.body, got, c.told)
		}
	}
	platform := w.newKey("acme", "root", auth.TenantsAdmin, auth.OpsPlatform)
	w.expect(w.do("POST", "/v1/keys", `{"client":"till","scopes":["ops:platform"]}`, "Authorization", "Bearer "+platform), 201, "")
	for range 2 { // again changes nothing
		w.expect(w.do("DELETE", "/v1/keys/"+made.Key, ""), 204, "")
	}
	if list := w.do("GET", "/v1/keys", ""); !strings.Contains(list.body, `"revoked_at":"`) {
		t.Errorf("listed %v", list)
	}
	w.expect(w.do("DELETE", "/v1/keys/none", ""), 404, "unknown_key")
	w.audited(t, "create_key", "revoke_key")
}

func pages(t *testing.T, w *world) {
	for i := range 7 {
		w.expect(w.do("PUT", fmt.Sprintf("/v1/device-types/page-%d", i), `{"lane":"default","driver":"mqtt"}`), 201, "")
	}
	var seen []string
	after := "page-"
	for range 5 {
		var page struct {
			Types []struct{ Type string } `json:"device_types"`
			Next  string
		}
		w.into(w.do("GET", "/v1/device-types?limit=3&after="+after, ""), &page)
		for _, kind := range page.Types {
			if strings.HasPrefix(kind.Type, "page-") {
				seen = append(seen, kind.Type)
			}
		}
		if after = page.Next; after == "" || !strings.HasPrefix(after, "page-") {
			break
		}
	}
	if got := strings.Join(seen, " "); got != "page-0 page-1 page-2 page-3 page-4 page-5 page-6" {
		t.Errorf("seen %s", got)
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "limit=-1", "after=a.b", "after=%00"} {
		for _, list := range []string{"devices", "device-types", "keys"} {
			w.expect(w.do("GET", "/v1/"+list+"?"+query, ""), 400, "invalid_parameter")
		}
	}
	if got := w.do("GET", "/v1/devices?after=zzz", ""); got.body != `{"devices":[]}` {
		t.Errorf("an empty page: %v", got)
	}
}

// Whatever belongs to another tenant is answered as what does not exist at all.
func nothingOfOthers(t *testing.T, w *world) {
	theirs := w.newKey("other", "spy", auth.CommandsSend, auth.RepliesRead, auth.DevicesRead, auth.DevicesWrite, auth.TenantsAdmin)
	spy := []string{"Authorization", "Bearer " + theirs}
	w.expect(w.do("PUT", "/v1/device-types/secret", `{"lane":"default","driver":"mqtt"}`), 201, "")
	w.expect(w.do("PUT", "/v1/devices/secret", `{"type":"secret"}`), 201, "")
	var made struct{ Key string }
	w.into(w.do("POST", "/v1/keys", `{"client":"secret","scopes":["ops:read"]}`), &made)
	for _, c := range []struct{ method, mine, none, body string }{
		{"GET", "/v1/devices/secret", "/v1/devices/none", ""},
		{"DELETE", "/v1/devices/secret", "/v1/devices/none", ""},
		{"POST", "/v1/devices/secret/commands", "/v1/devices/none/commands", set},
		{"GET", "/v1/device-types/secret", "/v1/device-types/none", ""},
		{"DELETE", "/v1/device-types/secret", "/v1/device-types/none", ""},
		{"DELETE", "/v1/keys/" + made.Key, "/v1/keys/none", ""},
	} {
		mine, none := w.do(c.method, c.mine, c.body, spy...), w.do(c.method, c.none, c.body, spy...)
		if mine.status != 404 || mine.body != none.body {
			t.Errorf("%s %s: %v, of what does not exist: %v", c.method, c.mine, mine, none)
		}
	}
	for _, path := range []string{"/v1/devices", "/v1/device-types", "/v1/keys"} {
		if got := w.do("GET", path, "", spy...); got.status != 200 || strings.Contains(got.body, "secret") || strings.Contains(got.body, made.Key) {
			t.Errorf("%s: %v", path, got)
		}
	}
	w.expect(w.do("PUT", "/v1/devices/mine", `{"type":"secret"}`, spy...), 422, "unknown_type")
	w.expect(w.do("GET", "/v1/devices/secret", ""), 200, "")
}

// Every route of the document refuses a key that has every scope but the one it needs.
func scopes(t *testing.T, w *world) {
	needed := regexp.MustCompile("Scope `([a-z:]+)`")
	parameter := regexp.MustCompile(`\{\w+\}`)
	with := map[auth.Scope]string{}
	for _, without := range auth.Scopes() {
		var rest []auth.Scope
		for _, s := range auth.Scopes() {
			if s != without {
				rest = append(rest, s)
			}
		}
		with[without] = w.newKey("acme", "narrow", rest...)
	}
	for path, item := range contracttest.Load(t).Doc.Paths.Map() {
		for method, operation := range item.Operations() {
			said := needed.FindStringSubmatch(operation.Description)
			if said == nil && strings.HasPrefix(operation.Description, "Any key") {
				w.expect(w.do(method, parameter.ReplaceAllString(path, "x"), "", "Authorization", "Bearer "+with[auth.Scopes()[0]]), 200, "")
				continue
			}
			if said == nil {
				t.Errorf("%s %s names no scope", method, path)
				continue
			}
			body := ""
			if method == http.MethodPut || method == http.MethodPost {
				body = `{}`
			}
			got := w.do(method, parameter.ReplaceAllString(path, "x"), body, "Authorization", "Bearer "+with[auth.Scope(said[1])])
			w.expect(got, 403, "forbidden")
			if challenge := got.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `scope="`+said[1]+`"`) {
				t.Errorf("%s %s: %s", method, path, challenge)
			}
		}
	}
}

// audited fails the test unless the audit trail has these actions of shop's key.
func (w *world) audited(t *testing.T, actions ...string) {
	t.Helper()
	entries, err := audit.New(w.pool).List(t.Context(), "acme", time.Now().Add(-time.Hour), 1000)
	w.check(err)
	seen := map[string]bool{}
	for _, e := range entries {
		seen[e.Action] = e.Stage == audit.StageOperator && strings.HasPrefix(e.Actor, "key ")
	}
	for _, action := range actions {
		if !seen[action] {
			t.Errorf("no %s in the audit trail", action)
		}
	}
}
