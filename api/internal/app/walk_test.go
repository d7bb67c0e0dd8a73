package app

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/contracttest"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/erasure"
	"github.com/cupline/cupline/store/identity"
)

// secret stands in everything that acme has; nobody else may ever read it.
const secret = "acmesecret"

// operation is one of the document, with the names of acme's own things in its path.
type operation struct {
	method, path, body string
	// scope that the document names; empty where every key may ask.
	scope string
}

// operations reads the document; ids are by the name of the path's parameter.
func operations(t *testing.T, ids map[string]string) (all []operation) {
	t.Helper()
	scope, parameter := regexp.MustCompile("Scopes? `([a-z]+:[a-z]+)`"), regexp.MustCompile(`\{(\w+)\}`)
	for path, item := range contracttest.Load(t).Doc.Paths.Map() {
		for method, described := range item.Operations() {
			o := operation{method: method, path: parameter.ReplaceAllStringFunc(path, func(name string) string {
				id := ids[strings.Trim(name, "{}")]
				if id == "" {
					t.Fatalf("%s: nothing of acme's for %s", path, name)
				}
				return id
			})}
			if found := scope.FindStringSubmatch(described.Description); found != nil {
				o.scope = found[1]
			}
			if described.RequestBody != nil {
				o.body = "{}"
				if content := described.RequestBody.Value.Content.Get("application/json"); content != nil && content.Example != nil {
					text, err := json.Marshal(content.Example)
					if err != nil {
						t.Fatal(err)
					}
					o.body = string(text)
				}
			}
			if path == "/v1/commands" {
				o.path += "?id=" + secret
			}
			all = append(all, o)
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d operations", len(all))
	}
	// Last those with which a stranger makes something of his own, by the same name.
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.method, b.method) })
	return all
}

// ask sends a request of a stranger's, whose answer must tell nothing.
func (w *world) ask(o operation, token string) (status int, body string) {
	w.t.Helper()
	status, body = w.send(o, token)
	if leak := regexp.MustCompile(`(?i)sqlstate|pgx|goroutine|\.go:\d|panic|select .* from|` + secret).FindString(body); leak != "" {
		w.t.Errorf("%s %s: %d tells %q: %s", o.method, o.path, status, leak, body)
	}
	return status, body
}

// send sends a request as it is, whatever the document says of it.
func (w *world) send(o operation, token string) (status int, body string) {
	w.t.Helper()
	r := must(http.NewRequestWithContext(w.t.Context(), o.method, "http://"+w.app.Addr()+o.path, strings.NewReader(o.body)))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if o.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	got, err := w.base.RoundTrip(r)
	w.check(err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	w.check(err)
	return got.StatusCode, string(text)
}

// belongings fills acme with one of everything, each with the secret in it, and returns their ids.
func (w *world) belongings() map[string]string {
	w.t.Helper()
	kind := lamp("acme", "default")
	kind.Name = "acmes-type"
	kind.Methods[secret] = device.Method{Idempotent: true}
	w.putType(kind)
	w.putDevice(device.Device{Tenant: "acme", ID: "acmes-lamp", Type: "acmes-type", Labels: map[string]string{"note": secret}})
	_, key, err := w.keys.CreateKey(w.t.Context(), identity.NewKey{Tenant: "acme", Client: secret, Name: secret, Scopes: []string{"devices:read"}})
	w.check(err)
	w.check(w.trail().Append(w.t.Context(), audit.Entry{Tenant: "acme", Stage: audit.StageIntake, Action: "x", Detail: secret}))
	letter := w.bury(func(l *deadletter.Letter) { l.Detail, l.Device = secret, "acmes-lamp" })
	kept, err := deadletter.New(w.pool).Get(w.t.Context(), "acme", uuid.MustParse(letter))
	w.check(err)
	job, err := deadletter.New(w.pool).NewJob(w.t.Context(), deadletter.Job{
		Tenant: "acme", Kind: deadletter.JobDiscard, Filter: deadletter.Filter{Client: "nobody"}, Rate: 1, Actor: secret, Reason: secret,
	})
	w.check(err)
	erased, err := erasure.New(w.pool).Request(w.t.Context(), "acme", "nobody", secret, secret)
	w.check(err)
	return map[string]string{
		"lane": "default", "drain_id": uuid.NewString(), "erasure_id": erased.ErasureID.String(),
		"device": "acmes-lamp", "type": "acmes-type", "key": key.ID, "tenant": "acme", "letter_id": letter, "job_id": job.JobID.String(),
		"command_id": kept.CommandID.String(), "credential": "acmes-credential", "group": kept.Group.String(),
	}
}

// Every route of the document refuses who has no key, a key without the scope, and another tenant's key, and tells
// nothing that is not theirs to know.
func TestEveryRouteRefusesStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ids := w.belongings()
	all := operations(t, ids)
	everything := slices.DeleteFunc(auth.Scopes(), func(s auth.Scope) bool { return s == auth.OpsPlatform })
	strangers := w.newKey("other", "stranger", everything...)
	for _, o := range all {
		for _, token := range []string{"", "x", "cup_aaaaaaaaaaaaaaaa_" + strings.Repeat("b", 43), "eyJhbGciOiJub25lIn0.e30."} {
			if status, body := w.ask(o, token); status != http.StatusUnauthorized {
				t.Errorf("%s %s with the key %q: %d %s", o.method, o.path, token, status, body)
			}
		}
		if o.scope != "" {
			lacking := slices.DeleteFunc(auth.Scopes(), func(s auth.Scope) bool { return string(s) == o.scope })
			if status, body := w.ask(o, w.newKey("acme", "without-"+strings.ReplaceAll(o.scope, ":", "-"), lacking...)); status != http.StatusForbidden {
				t.Errorf("%s %s without %s: %d %s", o.method, o.path, o.scope, status, body)
			}
		}
		w.strange(o, ids, strangers)
	}
	w.untouched(ids)
}

// strange asks with another tenant's key, and holds the answer against that for what does not exist.
func (w *world) strange(o operation, ids map[string]string, token string) {
	w.t.Helper()
	status, body := w.ask(o, token)
	missing := o
	for name, id := range ids {
		nothing := map[string]string{
			"letter_id": uuid.NewString(), "drain_id": uuid.NewString(), "erasure_id": uuid.NewString(), "group": uuid.NewString(), "job_id": uuid.NewString(), "command_id": uuid.NewString(), "key": "aaaaaaaaaaaaaaaa",
		}[name]
		if nothing == "" {
			nothing = "there-is-none"
		}
		missing.path = strings.Replace(missing.path, id, nothing, 1)
	}
	if missing.path == o.path { // of the asker's own tenant; that acme's does not stand in it, ask has seen
		if strings.Contains(o.path, "?tenant=") || status >= 500 {
			w.t.Errorf("%s %s of a stranger: %d %s", o.method, o.path, status, body)
		}
		return
	}
	made := o.method == http.MethodPut && status < 300 // one of his own, of the same name
	absent, other := w.ask(missing, token)
	if o.method == http.MethodGet && absent == status && other == body {
		return // an empty list, as of what does not exist
	}
	if !made && status != http.StatusNotFound && status != http.StatusForbidden && status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
		w.t.Errorf("%s %s of a stranger: %d %s", o.method, o.path, status, body)
	}
	if absent != status {
		w.t.Errorf("%s %s of a stranger: %d %s, but of nothing: %d %s", o.method, o.path, status, body, absent, other)
	}
}

// untouched finds acme's things as they were.
func (w *world) untouched(ids map[string]string) {
	w.t.Helper()
	ctx := w.t.Context()
	if d, err := w.registry.Device(ctx, "acme", ids["device"]); err != nil || d.Labels["note"] != secret {
		w.t.Errorf("the device is %+v, %v", d, err)
	}
	if kind, err := w.registry.Type(ctx, "acme", ids["type"]); err != nil || len(kind.Methods) != 3 {
		w.t.Errorf("the type is %+v, %v", kind, err)
	}
	if k, err := w.keys.Key(ctx, "acme", ids["key"]); err != nil || !k.Revoked.IsZero() || !k.Expires.IsZero() {
		w.t.Errorf("the key is %+v, %v", k, err)
	}
	if found, err := w.keys.Tenant(ctx, "acme"); err != nil || found.Name != "acme" {
		w.t.Errorf("the tenant is %+v, %v", found, err)
	}
	if l, err := deadletter.New(w.pool).Get(ctx, "acme", uuid.MustParse(ids["letter_id"])); err != nil || l.State != deadletter.Open {
		w.t.Errorf("the letter is %+v, %v", l, err)
	}
}

// A scope opens its own routes, and is enough for them.
func TestEveryScopeOpensItsRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	opened := map[string]int{}
	for _, o := range operations(t, w.belongings()) {
		if o.scope == "" {
			continue
		}
		// A client of its own each time: an erased tenant's keys are revoked.
		token := w.newKey("acme", "with-"+strings.ReplaceAll(o.scope, ":", "-"), auth.Scope(o.scope))
		if status, body := w.send(operation{method: o.method, path: strings.ReplaceAll(o.path, secret, "c-1"), body: o.body}, token); status == http.StatusUnauthorized || status == http.StatusForbidden {
			t.Errorf("%s %s with %s: %d %s", o.method, o.path, o.scope, status, body)
			continue
		}
		opened[o.scope]++
	}
	for _, s := range auth.Scopes() {
		if opened[string(s)] == 0 {
			t.Errorf("%s opens nothing", s)
		}
	}
}
