package app

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestRetentionRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.do("GET", "/v1/retention", "")
	w.expect(a, 200, "")
	if !strings.Contains(a.body, `"own":{}`) || !strings.Contains(a.body, `"in_force":{"letters":"720h0m0s","audit":"2160h0m0s","ledger":"24h0m0s","mailbox":"168h0m0s"}`) {
		t.Errorf("at first %v", a)
	}
	a = w.do("PUT", "/v1/retention", `{"letters":"48h","mailbox":"1h","reason":"contract","actor":"ann"}`)
	w.expect(a, 200, "")
	if !strings.Contains(a.body, `"own":{"letters":"48h0m0s","mailbox":"1h0m0s"}`) || !strings.Contains(a.body, `"audit":"2160h0m0s"`) {
		t.Errorf("set %v", a)
	}
	for body, field := range map[string]string{
		`{"letters":"1h","reason":"x"}`: "letters", `{"audit":"1h","reason":"x"}`: "audit", `{"ledger":"1m","reason":"x"}`: "ledger",
		`{"mailbox":"1s","reason":"x"}`: "mailbox", `{"letters":"48h"}`: "reason", `{"letters":"0s","reason":"x"}`: "",
	} {
		a := w.do("PUT", "/v1/retention", body)
		w.expect(a, 400, "invalid_request")
		if field != "" && !strings.Contains(a.body, `"field":"`+field+`"`) {
			t.Errorf("%s: %v", body, a)
		}
	}
	w.expect(w.do("GET", "/v1/retention?tenants=x", ""), 400, "invalid_parameter")
	a = w.do("GET", "/v1/audit?action=retention_set", "")
	if !strings.Contains(a.body, "ann (key ") || !strings.Contains(a.body, "contract; letters 48h0m0s") {
		t.Errorf("audit %v", a)
	}
}

func TestErasureRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, body := range []string{`{"reason":"x"}`, `{"client":"web","whole_tenant":true,"reason":"x"}`, `{"client":"a.b","reason":"x"}`, `{"client":"web"}`} {
		w.expect(w.do("POST", "/v1/erasures", body), 400, "invalid_request")
	}
	a := w.do("POST", "/v1/erasures", `{"client":"web","reason":"asked by letter","actor":"ann"}`)
	w.expect(a, 202, "")
	var made struct {
		ErasureID string `json:"erasure_id"`
		State     string `json:"state"`
	}
	w.into(a, &made)
	if made.State != "running" {
		t.Errorf("made %v", a)
	}
	w.expect(w.do("POST", "/v1/erasures", `{"client":"web","reason":"again"}`), 409, "erasure_state")
	a = w.do("GET", "/v1/erasures/"+made.ErasureID, "")
	w.expect(a, 200, "")
	if !strings.Contains(a.body, `"client":"web"`) || !strings.Contains(a.body, "ann (key ") {
		t.Errorf("told %v", a)
	}
	if a := w.do("GET", "/v1/erasures", ""); !strings.Contains(a.body, made.ErasureID) {
		t.Errorf("listed %v", a)
	}
	w.expect(w.do("GET", "/v1/erasures/"+uuid.NewString(), ""), 404, "not_found")
	w.expect(w.do("GET", "/v1/erasures/x", ""), 404, "not_found")
}
