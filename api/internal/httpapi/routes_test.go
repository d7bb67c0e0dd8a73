package httpapi

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/contracttest"
	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
)

// The document and the server have the same routes, each with the scope that the document names.
func TestRoutesAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	doc := contracttest.Load(t).Doc
	described := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			described[method+" "+path] = operation.Description
		}
	}
	parameter := regexp.MustCompile(`:(\w+)`)
	var served []string
	for _, r := range New(Config{Log: zap.NewNop()}).echo.Routes() {
		served = append(served, r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}"))
	}
	if len(served) != len(routes()) {
		t.Errorf("%d routes served, %d listed", len(served), len(routes()))
	}
	for _, route := range served {
		if _, has := described[route]; !has {
			t.Errorf("%s is served, and not in openapi.yaml", route)
		}
	}
	for route := range described {
		if !slices.Contains(served, route) {
			t.Errorf("%s is in openapi.yaml, and not served", route)
		}
	}
	for _, r := range routes() {
		name := r.method + " " + parameter.ReplaceAllString(r.path, "{$1}")
		if r.scope == anyScope {
			if !strings.Contains(described[name], "Any key") {
				t.Errorf("%s is for any key, and its description does not say so", name)
			}
			continue
		}
		if !strings.Contains(described[name], "`"+string(r.scope)+"`") {
			t.Errorf("%s needs %s, and its description does not say so", name, r.scope)
		}
	}
	for _, s := range doc.Components.Schemas["Scope"].Value.Enum {
		if !auth.Scope(s.(string)).Known() {
			t.Errorf("scope %v", s)
		}
	}
	if n := len(doc.Components.Schemas["Scope"].Value.Enum); n != len(auth.Scopes()) {
		t.Errorf("%d scopes described", n)
	}
}

func TestNobodyWithoutAKey(t *testing.T) {
	t.Parallel()
	u := serve(t, nil, nil)
	for _, r := range routes() {
		path := regexp.MustCompile(`:\w+`).ReplaceAllString(r.path, "x")
		for header, told := range map[string]string{
			"":             "there is no Authorization header",
			"Bearer bad":   "the key is not known",
			"Basic eDp5":   "has to be: Bearer",
			"Bearer good2": "the key is not known",
		} {
			answer, body := u.do(r.method, path, "", "Authorization", header)
			challenge := answer.Header.Get("WWW-Authenticate")
			if (header == "") == strings.Contains(challenge, "error=") {
				t.Errorf("%q is challenged with %s", header, challenge)
			}
			if answer.StatusCode != 401 || !strings.Contains(body, told) || !strings.HasPrefix(challenge, `Bearer realm="cupline"`) {
				t.Errorf("%s %s with %q: %d %s %s", r.method, path, header, answer.StatusCode, body, challenge)
			}
		}
	}
}

func TestWhatIsNoRoute(t *testing.T) {
	t.Parallel()
	u := serve(t, nil, nil)
	for _, c := range []struct {
		method, path string
		status       int
		code         problem.Code
	}{
		{"GET", "/", 404, problem.NotFound},
		{"GET", "/v1", 404, problem.NotFound},
		{"GET", "/v2/devices", 404, problem.NotFound},
		{"GET", "/v1/devices/lamp-1/commands", 405, problem.MethodNotAllowed},
		{"PATCH", "/v1/devices/lamp-1", 405, problem.MethodNotAllowed},
		{"DELETE", "/v1/mailbox", 405, problem.MethodNotAllowed},
	} {
		answer, body := u.do(c.method, c.path, "")
		if answer.StatusCode != c.status || !strings.Contains(body, `"code":"`+string(c.code)+`"`) {
			t.Errorf("%s %s: %d %s", c.method, c.path, answer.StatusCode, body)
		}
		if allow := answer.Header.Get("Allow"); (c.status == 405) != (allow != "") {
			t.Errorf("%s %s: Allow %q", c.method, c.path, allow)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	u := serve(t, func(intake.Post) ([]intake.Result, bool, error) { return []intake.Result{fine("1")}, false, nil }, nil)
	fits := `{"jsonrpc":"2.0","id":1,"method":"m","params":["` + strings.Repeat("a", maxCommands-60) + `"]}`
	fits += strings.Repeat(" ", maxCommands-len(fits))
	for _, c := range []struct {
		name, body string
		header     []string
		status     int
	}{
		{"64 KiB", fits, nil, 202},
		{"a byte more", fits + " ", nil, 413},
		{"65 KiB", fits + strings.Repeat(" ", 1024), nil, 413},
		{"65 KiB, chunked", fits + strings.Repeat(" ", 1024), []string{"Transfer-Encoding", "chunked"}, 413},
		{"64 KiB, chunked", fits, []string{"Transfer-Encoding", "chunked"}, 202},
		{"charset", request, []string{"Content-Type", "application/json; charset=UTF-8"}, 202},
		{"another charset", request, []string{"Content-Type", "application/json; charset=latin1"}, 415},
		{"no type", request, []string{"Content-Type", ""}, 415},
		{"a form", request, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"problem", request, []string{"Content-Type", "application/json-rpc"}, 415},
		{"zipped", request, []string{"Content-Encoding", "gzip"}, 415},
		{"bad TTL", request, []string{"Cupline-TTL", "soon"}, 400},
		{"no TTL", request, []string{"Cupline-TTL", "0s"}, 400},
	} {
		send := u.do
		if slices.Contains(c.header, "chunked") {
			send = u.chunked
		}
		if answer, body := send("POST", commands, c.body, c.header...); answer.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.name, answer.StatusCode, body)
		}
	}
}

// chunked sends a body whose length is not told.
func (u *under) chunked(method, path, body string, _ ...string) (*http.Response, string) {
	u.t.Helper()
	r := httptest.NewRequest(method, path, struct{ *strings.Reader }{strings.NewReader(body)})
	r.ContentLength = -1
	r.Header.Set("Authorization", "Bearer good")
	r.Header.Set("Content-Type", "application/json")
	recorded := httptest.NewRecorder()
	u.echo.ServeHTTP(recorded, r)
	return recorded.Result(), recorded.Body.String()
}

func TestIDKey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"c-42": "s:c-42", `"c-42"`: "s:c-42", `"\u0063-42"`: "s:c-42", "42": "i:42", "-7": "i:-7", "-0": "i:0", `"42"`: "s:42",
		"4e2": "s:4e2", "1.5": "s:1.5", "null": "s:null", "-": "s:-", "0190-abc": "s:0190-abc", "a\"b\\": "s:a\"b\\", "<é>": "s:<é>", "{}": "s:{}",
		"9007199254740992": "i:9007199254740992", "042": "s:042", "1-2": "s:1-2", "--1": "s:--1",
	} {
		if got, err := idKey(text); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", `"`, `""`, `"a" "b"`, "9007199254740993", strings.Repeat("x", 129), `"\ud800"`} {
		if got, err := idKey(text); err == nil {
			t.Errorf("%s was taken as %q", text, got)
		}
	}
}

func FuzzIDKey(f *testing.F) {
	f.Add("42")
	f.Add(`"4\u0032"`)
	f.Add("a\xff\"")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := idKey(text)
		if err == nil && !strings.HasPrefix(key, "s:") && !strings.HasPrefix(key, "i:") {
			t.Fatalf("%q: %q", text, key)
		}
	})
}

func TestTraceOfARequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ parent, state, wantParent, wantState string }{
		{"00-a-b-01", "x=y", "00-a-b-01", "x=y"},
		{"", "x=y", "", "x=y"},
		{"00-a-b-01\x7f", "x=y", "", ""},
		{strings.Repeat("a", 513), "x=y", "", ""},
		{"00-a-b-01", strings.Repeat("a", 513), "00-a-b-01", ""},
	} {
		h := http.Header{}
		h.Set("traceparent", c.parent)
		h.Set("tracestate", c.state)
		if got := trace(h); got.Parent != c.wantParent || got.State != c.wantState {
			t.Errorf("%.20q %.20q: %+v", c.parent, c.state, got)
		}
	}
}

func BenchmarkSendCommand(b *testing.B) {
	s := New(Config{Verifier: doorkeeper{}, Log: zap.NewNop(), Metrics: unregistered(b), Acceptor: accept(func(intake.Post) ([]intake.Result, bool, error) {
		return []intake.Result{fine(`"c-42"`)}, false, nil
	})})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", commands, strings.NewReader(request))
		r.Header.Set("Authorization", "Bearer good")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if s.echo.ServeHTTP(w, r); w.Code != 202 {
			b.Fatal(w.Code)
		}
	}
}
