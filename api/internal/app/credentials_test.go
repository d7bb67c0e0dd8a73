package app

import (
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/device"
)

func TestCredentialsOfDevices(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.putDevice(device.Device{Tenant: "acme", ID: "lamp-9", Type: "lamp"})
	const path = "/v1/devices/lamp-9/credentials"
	if got := w.do("GET", path, ""); got.status != 200 || got.body != `{"credentials":[]}` {
		t.Errorf("none: %v", got)
	}
	var made struct{ Credential, Username, Password string }
	got := w.do("POST", path, `{}`)
	w.expect(got, 201, "")
	w.into(got, &made)
	if made.Username != "acme/lamp-9" || !strings.Contains(made.Password, made.Credential) || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("made %v", got)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", path, `{"expires_at":"2001-01-01T00:00:00Z"}`, 422, "invalid_description"},
		{"POST", path, `{"overlap":"-1s"}`, 422, "invalid_description"},
		{"POST", path, `{"overlap":"721h"}`, 422, "invalid_description"},
		{"POST", path, `{"overlap":1}`, 400, "invalid_request"},
		{"POST", path, `{"password":"mine"}`, 400, "invalid_request"},
		{"POST", "/v1/devices/none/credentials", `{}`, 404, "unknown_device"},
		{"GET", "/v1/devices/none/credentials", "", 404, "unknown_device"},
		{"DELETE", path + "/none", "", 404, "unknown_credential"},
		{"DELETE", "/v1/devices/none/credentials/" + made.Credential, "", 404, "unknown_credential"},
	} {
		w.expect(w.do(c.method, c.path, c.body), c.status, c.code)
	}
	w.expect(w.do("POST", path, `{"overlap":"1h","expires_at":"2999-01-01T00:00:00Z"}`), 201, "")
	for range 2 { // again changes nothing
		w.expect(w.do("DELETE", path+"/"+made.Credential, ""), 204, "")
	}
	list := w.do("GET", path, "")
	if strings.Contains(list.body, made.Password) || strings.Count(list.body, `"credential":`) != 2 || !strings.Contains(list.body, `"revoked_at":"`+time.Now().UTC().Format("2006")) {
		t.Errorf("listed %v", list)
	}
	for range 7 {
		w.expect(w.do("POST", path, `{}`), 201, "")
	}
	w.expect(w.do("POST", path, `{}`), 409, "too_many_credentials")
	w.audited(t, "create_credential", "revoke_credential")
}
