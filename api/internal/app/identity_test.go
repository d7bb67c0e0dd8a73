package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/chassis/jwttest"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/identity"
)

// bearer is the header of another key than the world's own.
func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func TestTenantsByHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	platform := bearer(w.newKey("system", "root", auth.TenantsAdmin, auth.OpsPlatform, auth.OpsRead))

	// A tenant's own admin sees and renames its own, and nothing of others.
	w.expect(w.do("GET", "/v1/tenants/acme", ""), 200, "")
	w.expect(w.do("PUT", "/v1/tenants/acme", `{"name":"Acme Ltd"}`), 200, "")
	w.expect(w.do("GET", "/v1/tenants/other", ""), 404, "unknown_tenant")
	w.expect(w.do("GET", "/v1/tenants/nobody", ""), 404, "unknown_tenant")
	for _, tenant := range []string{"other", "nobody"} { // the same for what is there and what is not
		w.expect(w.do("PUT", "/v1/tenants/"+tenant, `{"name":"x"}`), 403, "forbidden")
		w.expect(w.do("DELETE", "/v1/tenants/"+tenant, ""), 403, "forbidden")
		w.expect(w.do("GET", "/v1/keys?tenant="+tenant, ""), 403, "forbidden")
		w.expect(w.do("POST", "/v1/keys?tenant="+tenant, `{"client":"x","scopes":["devices:read"]}`), 403, "forbidden")
	}
	if a := w.do("GET", "/v1/tenants", ""); a.status != 200 || strings.Contains(a.body, "other") || !strings.Contains(a.body, `"Acme Ltd"`) {
		t.Errorf("acme's list: %v", a)
	}
	w.expect(w.do("DELETE", "/v1/tenants/acme", ""), 409, "in_use")

	// The platform's admin makes one, with its first key.
	w.expect(w.do("PUT", "/v1/tenants/cupline", `{}`, platform...), 422, "invalid_description")
	w.expect(w.do("PUT", "/v1/tenants/a.b", `{}`, platform...), 422, "invalid_description")
	w.expect(w.do("PUT", "/v1/tenants/fresh", `{"name":"Fresh"}`, platform...), 201, "")
	w.expect(w.do("PUT", "/v1/tenants/fresh", `{"name":"Fresher"}`, platform...), 200, "")
	if a := w.do("GET", "/v1/tenants", "", platform...); a.status != 200 || !strings.Contains(a.body, `"acme"`) || !strings.Contains(a.body, `"Fresher"`) {
		t.Errorf("the platform's list: %v", a)
	}
	w.expect(w.do("POST", "/v1/keys?tenant=nobody", `{"client":"x","scopes":["devices:read"]}`, platform...), 404, "unknown_tenant")
	var made struct{ Key, Token string }
	a := w.do("POST", "/v1/keys?tenant=fresh", `{"client":"x","scopes":["tenants:admin","devices:read"]}`, platform...)
	w.expect(a, 201, "")
	w.into(a, &made)
	if a := w.do("GET", "/v1/tenants", "", bearer(made.Token)...); !strings.Contains(a.body, `"fresh"`) || strings.Contains(a.body, "acme") {
		t.Errorf("fresh's list: %v", a)
	}
	w.expect(w.do("DELETE", "/v1/tenants/fresh", "", platform...), 409, "in_use")
	if a := w.do("GET", "/v1/audit?tenant=fresh", "", platform...); !strings.Contains(a.body, `"create_key"`) || !strings.Contains(a.body, "of tenant system") {
		t.Errorf("the trail: %v", a)
	}
	w.expect(w.do("PUT", "/v1/tenants/empty", `{}`, platform...), 201, "")
	w.expect(w.do("DELETE", "/v1/tenants/empty", "", platform...), 204, "")
	w.expect(w.do("DELETE", "/v1/tenants/empty", "", platform...), 404, "unknown_tenant")
}

func TestKeysAreRotatedByHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var old, fresh struct{ Key, Token, Replaces, Client string }
	w.into(w.do("POST", "/v1/keys", `{"client":"web","scopes":["devices:read"]}`), &old)
	a := w.do("POST", "/v1/keys/"+old.Key+"/rotate", `{"overlap":"1h"}`)
	w.expect(a, 201, "")
	w.into(a, &fresh)
	if fresh.Replaces != old.Key || fresh.Client != "web" || fresh.Token == old.Token {
		t.Errorf("%v", a)
	}
	for _, token := range []string{old.Token, fresh.Token} {
		w.expect(w.do("GET", "/v1/devices", "", bearer(token)...), 200, "")
	}
	if a := w.do("GET", "/v1/keys/"+old.Key, ""); !strings.Contains(a.body, `"expires_at"`) || strings.Contains(a.body, old.Token) {
		t.Errorf("%v", a)
	}
	w.expect(w.do("POST", "/v1/keys/"+old.Key+"/rotate", `{"overlap":"1000h"}`), 400, "invalid_request")
	w.expect(w.do("POST", "/v1/keys/nosuchkey/rotate", `{}`), 404, "unknown_key")
	w.expect(w.do("GET", "/v1/keys/nosuchkey", ""), 404, "unknown_key")
	w.expect(w.do("DELETE", "/v1/keys/"+old.Key, ""), 204, "")
	w.expect(w.do("POST", "/v1/keys/"+old.Key+"/rotate", `{}`), 409, "key_ended")
	// Nobody gets the token of a key that may do more than his own.
	_, root, err := w.keys.CreateKey(t.Context(), identity.NewKey{Tenant: "acme", Client: "root", Scopes: []string{"ops:platform"}})
	w.check(err)
	w.expect(w.do("POST", "/v1/keys/"+root.ID+"/rotate", `{}`), 403, "forbidden")
}

func TestANarrowedKeyReachesItsDevicesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for id, site := range map[string]string{"lamp-2": "north", "lamp-3": "south", "fan-1": "north"} {
		w.putDevice(device.Device{Tenant: "acme", ID: id, Type: "lamp", Labels: map[string]string{"site": site}})
	}
	w.expect(w.do("POST", "/v1/keys", `{"client":"n","scopes":["devices:read","ops:read"],"devices":{"pattern":"lamp-*"}}`), 422, "invalid_description")
	w.expect(w.do("POST", "/v1/keys", `{"client":"n","scopes":["devices:read"],"devices":{"pattern":"la.p"}}`), 422, "invalid_description")
	var made struct{ Token string }
	a := w.do("POST", "/v1/keys", `{"client":"n","scopes":["commands:send","replies:read","devices:read"],"devices":{"pattern":"lamp-*","labels":{"site":"north"}}}`)
	w.expect(a, 201, "")
	w.into(a, &made)
	w.expect(w.do("POST", "/v1/keys", `{"client":"n","scopes":["devices:read"]}`), 409, "other_reach")
	own := bearer(made.Token)
	const command = `{"jsonrpc":"2.0","id":"x","method":"host.info"}`
	for id, reached := range map[string]bool{"lamp-2": true, "lamp-3": false, "fan-1": false, "lamp-1": false, "none": false} {
		get, post := 404, 404
		if reached {
			get, post = 200, 202
		}
		w.expect(w.do("GET", "/v1/devices/"+id, "", own...), get, "")
		w.expect(w.post(id, command, own...), post, "")
	}
	// What it may not see is answered like what is not there.
	hidden, missing := w.do("GET", "/v1/devices/lamp-3", "", own...), w.do("GET", "/v1/devices/none", "", own...)
	if hidden.body != missing.body {
		t.Errorf("%v, %v", hidden, missing)
	}
	var listed struct {
		Devices []struct{ Device string }
		Next    string
	}
	w.into(w.do("GET", "/v1/devices?limit=1", "", own...), &listed)
	if len(listed.Devices) != 1 || listed.Devices[0].Device != "lamp-2" {
		t.Errorf("listed %+v", listed)
	}
	w.into(w.do("GET", "/v1/devices?limit=1&after="+listed.Next, "", own...), &listed)
	if slices.ContainsFunc(listed.Devices, func(d struct{ Device string }) bool { return d.Device != "lamp-2" }) {
		t.Errorf("then %+v", listed)
	}
}

func TestTokensAreTakenByHTTP(t *testing.T) {
	t.Parallel()
	issuer := jwttest.New(t)
	w := newWorld(t, func(_ *world, s *Settings) {
		s.Tokens = identity.TokenSettings{
			JWKS: issuer.JWKS(), Issuer: issuer.URL(), Audience: []string{"cupline"},
			Claims: identity.ClaimNames{Tenant: "https://shop.example/tenant", Client: "azp", Scope: "permissions"},
		}
	})
	claims := func(change func(map[string]any)) map[string]any {
		c := issuer.Claims("cupline")
		c["https://shop.example/tenant"], c["azp"] = "acme", "app"
		c["permissions"] = []string{"commands:send", "devices:read", "replies:read", "something:else"}
		if change != nil {
			change(c)
		}
		return c
	}
	for _, key := range []string{"rsa", "ec", "ed"} {
		own := bearer(issuer.Sign(t, key, claims(nil)))
		w.expect(w.do("GET", "/v1/devices/lamp-1", "", own...), 200, "")
		w.expect(w.post("lamp-1", `{"jsonrpc":"2.0","id":"`+key+`","method":"host.info"}`, own...), 202, "")
		w.expect(w.do("GET", "/v1/devices/theirs", "", own...), 404, "unknown_device")
		w.expect(w.do("PUT", "/v1/devices/lamp-9", `{"type":"lamp"}`, own...), 403, "forbidden")
		w.expect(w.do("POST", "/v1/tickets", "", own...), 201, "")
	}
	for name, token := range map[string]string{
		"no such tenant": issuer.Sign(t, "ec", claims(func(c map[string]any) { c["https://shop.example/tenant"] = "nobody" })),
		"no client":      issuer.Sign(t, "ec", claims(func(c map[string]any) { delete(c, "azp") })),
		"another's":      issuer.Sign(t, "ec", claims(func(c map[string]any) { c["aud"] = "else" })),
		"HMAC":           jwttest.Sign(t, jose.HS256, []byte("secret-secret-secret-secret-1234"), "rsa", claims(nil)),
	} {
		if a := w.do("GET", "/v1/devices", "", bearer(token)...); a.status != 401 || !strings.Contains(a.body, "the token is not valid here") {
			t.Errorf("%s: %v", name, a)
		}
	}
	old := issuer.Sign(t, "ec", claims(func(c map[string]any) { c["exp"] = 1_000_000_000 }))
	if a := w.do("GET", "/v1/devices", "", bearer(old)...); a.status != 401 || !strings.Contains(a.body, "expired") {
		t.Errorf("expired: %v", a)
	}
}

func (w *world) trail() *audit.Trail { return audit.New(w.pool) }
