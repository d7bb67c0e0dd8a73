package root_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/clients/go/cuplinetest"
)

func TestRetentionAndErasures(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	const terms = `{"tenant":"acme","own":{"letters":"48h0m0s"},"in_force":{"letters":"48h0m0s","audit":"2160h0m0s","ledger":"24h0m0s","mailbox":"168h0m0s"}}`
	const erasure = `{"erasure_id":"e-1","client":"web","state":"waiting","actor":"ann","reason":"asked","created_at":"2026-01-02T03:04:05Z",
		"due_at":"2026-01-02T05:04:05Z","letters":7,"outcomes":8,"commands":9}`
	p.Handle("GET /v1/retention", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("tenant") != "system" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = io.WriteString(w, terms)
	})
	posted := func(want, answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); string(body) != want {
				t.Errorf("%s %s: %s", r.Method, r.URL, body)
			}
			_, _ = io.WriteString(w, answer)
		}
	}
	p.Handle("PUT /v1/retention", posted(`{"letters":"48h0m0s","reason":"contract"}`, terms))
	p.Handle("POST /v1/erasures", posted(`{"client":"web","reason":"asked","actor":"ann"}`, erasure))
	p.Handle("GET /v1/erasures", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"erasures":[`+erasure+`]}`) })
	p.Handle("GET /v1/erasures/{erasure}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, erasure) })
	for args, said := range map[string]string{
		"retention show --tenant system":                         "audit    -        2160h0m0s",
		"retention set --letters 48h --reason contract":          "letters  48h0m0s  48h0m0s",
		"erasures start --client web --reason asked --actor ann": "web     waiting  7        8         9",
		"erasures list":     "e-1",
		"erasures show e-1": "asked",
		"erasures start --client web --reason asked --actor ann -o json": `"due_at":"2026-01-02T05:04:05Z"`,
	} {
		if e := execute(t.Context(), on(p), "", strings.Fields(args)...); e.code != exit.OK || !strings.Contains(e.out, said) {
			t.Errorf("%s: %+v", args, e)
		}
	}
	for _, args := range []string{"erasures start --reason x", "erasures start --client a --whole-tenant --reason x", "retention set --letters 1d --reason x", "retention set"} {
		if e := execute(t.Context(), on(p), "", strings.Fields(args)...); e.code != exit.Usage {
			t.Errorf("%s: %+v", args, e)
		}
	}
}
