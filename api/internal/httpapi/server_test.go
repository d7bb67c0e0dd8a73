package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/cupline/cupline/api/internal/contracttest"
	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doorkeeper knows one key, which may do everything but platform operations.
type doorkeeper struct{}

func (doorkeeper) Remembers(token string) bool { return token == "good" }

func (doorkeeper) Verify(_ context.Context, token string) (identity.Principal, error) {
	if token != "good" {
		return identity.Principal{}, identity.ErrUnknown
	}
	scopes := []string{"commands:send", "replies:read", "devices:read", "devices:write", "tenants:admin"}
	return identity.Principal{Tenant: "acme", Client: "shop", KeyID: "k1", Scopes: scopes}, nil
}

// accept is an Acceptor; the real one, with broker and registry, is tested in internal/app.
type accept func(p intake.Post) ([]intake.Result, bool, error)

func (f accept) Accept(_ context.Context, p intake.Post) ([]intake.Result, bool, error) { return f(p) }

var commandID = uuid.MustParse("01908c3e-7d2a-7000-8000-000000000001")

func fine(id string) intake.Result {
	return intake.Result{ID: []byte(id), CommandID: commandID, Expires: time.Date(2026, 3, 1, 12, 0, 30, 250e6, time.UTC)}
}

func failed(id string, code problem.Code) intake.Result {
	r := fine(id)
	r.Problem = problem.From(code, errors.New("a secret cause"))
	r.Problem.ID, r.Problem.CommandID = r.ID, r.CommandID
	return r
}

// under is a server under test with its client.
type under struct {
	*Server
	t        *testing.T
	client   *http.Client
	logs     *observer.ObservedLogs
	registry *prometheus.Registry
}

func serve(t *testing.T, acceptor accept, change func(*Config)) *under {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	u := &under{t: t, logs: logs, registry: prometheus.NewRegistry()}
	metrics, err := NewMetrics(u.registry)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Addr: "127.0.0.1:0", Verifier: doorkeeper{}, Acceptor: acceptor, Metrics: metrics, Log: zap.New(core)}
	if change != nil {
		change(&cfg)
	}
	u.Server = New(cfg)
	if err := u.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	base := &http.Transport{}
	u.client = &http.Client{Transport: contracttest.Load(t).Transport(t, base)}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := u.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return u
}

// do sends a request with the good key, and returns the answer with its body.
func (u *under) do(method, path, body string, header ...string) (*http.Response, string) {
	u.t.Helper()
	r, err := http.NewRequest(method, "http://"+u.Addr()+path, strings.NewReader(body))
	if err != nil {
		u.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer good")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := u.client.Do(r)
	if err != nil {
		u.t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return answer, string(got)
}

const (
	commands = "/v1/devices/lamp-1/commands"
	request  = `{"jsonrpc":"2.0","id":"c-42","method":"relay.set"}`
)

func TestAcceptedAnswer(t *testing.T) {
	t.Parallel()
	var got intake.Post
	u := serve(t, func(p intake.Post) ([]intake.Result, bool, error) {
		got = p
		return []intake.Result{fine(`"c<\u0034>2"`)}, false, nil
	}, nil)
	answer, body := u.do("POST", "/v1/devices/shop%401/commands", request, "Cupline-TTL", "1m30s",
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate", "a=b")
	want := `{"id":"c<\u0034>2","command_id":"01908c3e-7d2a-7000-8000-000000000001","expires_at":"2026-03-01T12:00:30.25Z"}`
	if answer.StatusCode != 202 || body != want || answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if got.Tenant != "acme" || got.Client != "shop" || got.Device != "shop@1" || string(got.Body) != request || got.TTL != 90*time.Second ||
		got.Trace.State != "a=b" || !strings.HasPrefix(got.Trace.Parent, "00-4b") {
		t.Errorf("intake was given %+v", got)
	}
	if h := answer.Header; h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
}

func TestOneWayAnswer(t *testing.T) {
	t.Parallel()
	u := serve(t, func(intake.Post) ([]intake.Result, bool, error) { return []intake.Result{fine("")}, false, nil }, nil)
	if answer, body := u.do("POST", commands, `{"jsonrpc":"2.0","method":"m"}`); answer.StatusCode != 202 || !strings.HasPrefix(body, `{"id":null,"command_id":"0190`) {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}

func TestInDoubtAnswer(t *testing.T) {
	t.Parallel()
	u := serve(t, func(intake.Post) ([]intake.Result, bool, error) {
		return []intake.Result{failed(`"c-42"`, problem.InDoubt)}, false, nil
	}, nil)
	answer, body := u.do("POST", commands, request)
	want := `{"type":"urn:cupline:problem:in_doubt","title":"It is in doubt whether the command was accepted","status":504,"code":"in_doubt",` +
		`"id":"c-42","command_id":"01908c3e-7d2a-7000-8000-000000000001"}`
	if answer.StatusCode != 504 || body != want {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if entry := u.logs.FilterMessage("request not done").All(); len(entry) != 1 || entry[0].Level != zap.WarnLevel {
		t.Errorf("logged %v", entry)
	} else if f := entry[0].ContextMap(); f["tenant"] != "acme" || f["client"] != "shop" || f["device"] != "lamp-1" || f["id"] != `"c-42"` ||
		f["command_id"] != commandID.String() || f["error"] != "a secret cause" {
		t.Errorf("logged %v", f)
	}
}

func TestBatchAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		results []intake.Result
		status  int
		want    []string
	}{
		{"all", []intake.Result{fine("1"), fine("")}, 202, []string{`{"items":[{"state":"accepted","id":1,"command_id":"0190`, `{"state":"accepted","id":null,`}},
		{"some", []intake.Result{fine("1"), failed("2", problem.QueueFull), failed("3", problem.InDoubt)}, 202, []string{
			`{"state":"accepted","id":1,`, `{"state":"refused","id":2,"command_id":"0190`, `"code":"queue_full"}`, `{"state":"in_doubt","id":3,`, `"code":"in_doubt"}`,
		}},
		{"none, for different causes", []intake.Result{failed("2", problem.QueueFull), failed("3", problem.InDoubt)}, 202, []string{`"state":"refused"`, `"state":"in_doubt"`}},
		{"none, for one cause", []intake.Result{failed("2", problem.BrokerUnavailable), failed("3", problem.BrokerUnavailable)}, 503, []string{
			`"code":"broker_unavailable","items":[{"state":"refused","id":2,`,
		}},
		{"all in doubt", []intake.Result{failed("2", problem.InDoubt), failed("3", problem.InDoubt)}, 504, []string{`"code":"in_doubt","items":[{"state":"in_doubt","id":2,"command_id":"0190`}},
	} {
		u := serve(t, func(intake.Post) ([]intake.Result, bool, error) { return c.results, true, nil }, nil)
		answer, body := u.do("POST", commands, "["+request+"]")
		if answer.StatusCode != c.status || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s", c.name, answer.StatusCode, body)
		}
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %s in %s", c.name, want, body)
			}
		}
		if c.status == 503 && answer.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: no Retry-After", c.name)
		}
	}
}

// Whatever goes wrong inside, the answer is a problem with its own status, and tells nothing of the cause.
func TestEveryProblemHasItsAnswer(t *testing.T) {
	t.Parallel()
	spec := contracttest.Load(t).Doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum
	if len(spec) != len(kinds) {
		t.Errorf("openapi.yaml has %d codes, the table %d", len(spec), len(kinds))
	}
	for _, word := range spec {
		code := problem.Code(word.(string))
		k, has := kinds[code]
		if !has || k.title == "" || k.status < 400 {
			t.Errorf("%s is not in the table", code)
		}
		if temporary := k.status == 503 || k.status == 429; temporary != (k.retryAfter > 0) {
			t.Errorf("%s: %d with Retry-After %d", code, k.status, k.retryAfter)
		}
		recorded := httptest.NewRecorder()
		s := New(Config{Log: zap.NewNop()})
		s.fail(fmt.Errorf("wrapped: %w", problem.From(code, errors.New("a secret cause"))), s.echo.NewContext(httptest.NewRequest("GET", "/", nil), recorded))
		body := recorded.Body.String()
		if recorded.Code != k.status || !strings.Contains(body, `"code":"`+string(code)+`"`) || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s", code, recorded.Code, body)
		}
	}
}

func TestPanicIsAnsweredAndTold(t *testing.T) {
	t.Parallel()
	u := serve(t, func(intake.Post) ([]intake.Result, bool, error) { panic("a secret thought") }, nil)
	answer, body := u.do("POST", commands, request)
	if answer.StatusCode != 500 || strings.Contains(body, "secret") || strings.Contains(body, ".go") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	logged := u.logs.FilterMessage("panic in a handler").All()
	if len(logged) != 1 || !strings.Contains(fmt.Sprint(logged[0].ContextMap()["stack"]), "server_test.go") {
		t.Errorf("logged %v", logged)
	}
	// The server goes on.
	if answer, _ := u.do("GET", "/v1/none", ""); answer.StatusCode != 404 {
		t.Error(answer.Status)
	}
}

func TestRequestsAreMeasured(t *testing.T) {
	t.Parallel()
	u := serve(t, func(intake.Post) ([]intake.Result, bool, error) { return []intake.Result{fine("1")}, false, nil },
		func(cfg *Config) { cfg.AccessLog = true })
	u.do("POST", commands, request)
	u.do("POST", commands, request, "Authorization", "")
	u.do("GET", "/v1/devices/lamp-1/nothing", "")
	if n := testutil.CollectAndCount(u.registry, "cupline_api_request_seconds"); n != 3 {
		t.Errorf("%d series", n)
	}
	metrics, err := u.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, m := range metrics {
		fmt.Fprintln(&all, m.String())
	}
	for _, want := range []string{"/v1/devices/:device/commands", `"202"`, `"401"`, `"404"`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %s in %s", want, all.String())
		}
	}
	if lines := u.logs.FilterMessage("request").All(); len(lines) != 3 || lines[0].ContextMap()["client"] != "shop" {
		t.Errorf("access log %v", lines)
	}
}

func TestSlowPeersAreCut(t *testing.T) {
	t.Parallel()
	u := serve(t, nil, func(cfg *Config) {
		cfg.Timeouts = Timeouts{Header: 50 * time.Millisecond, Read: 100 * time.Millisecond}
	})
	for name, said := range map[string]string{
		"header": "POST " + commands + " HTTP/1.1\r\nHost: x\r\n",
		"body": "POST " + commands + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Type: application/json\r\n" +
			"Content-Length: 100\r\n\r\n{",
	} {
		conn, err := net.Dial("tcp", u.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		// Whatever is answered, the connection ends.
		if _, err := io.Copy(io.Discard, bufio.NewReader(conn)); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("a slow %s: %v", name, err)
		}
	}
}

// A request that is held open outlives the timeouts against slow peers, and still notices a hang-up.
func TestHoldOpen(t *testing.T) {
	t.Parallel()
	const limit = 4 * time.Second // a request is held open within it, unless the machine stands still for as long
	u := serve(t, nil, func(cfg *Config) { cfg.Timeouts = Timeouts{Read: limit, Write: limit} })
	held, ended := make(chan struct{}, 2), make(chan error, 2)
	u.echo.GET("/held", func(c echo.Context) error {
		if err := holdOpen(c, time.Minute); err != nil {
			return err
		}
		held <- struct{}{}
		ctx, wait := c.Request().Context(), time.Minute
		if c.QueryParam("briefly") != "" {
			wait = 2 * limit
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		ended <- ctx.Err()
		return c.NoContent(http.StatusNoContent)
	})
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	answer, err := base.RoundTrip(httptest.NewRequest("GET", "http://"+u.Addr()+"/held?briefly=yes", nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if err := <-ended; err != nil || answer.StatusCode != http.StatusNoContent {
		t.Errorf("%d, %v", answer.StatusCode, err)
	}
	<-held
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	go func() {
		select {
		case <-held:
			hangUp()
		case <-ctx.Done():
		}
	}()
	if _, err := base.RoundTrip(httptest.NewRequest("GET", "http://"+u.Addr()+"/held", nil).WithContext(ctx)); err == nil {
		t.Error("answered after all")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a client that hung up: %v", err)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	u := serve(t, func(intake.Post) ([]intake.Result, bool, error) { return []intake.Result{fine("1")}, false, nil },
		func(cfg *Config) { cfg.Origins = []string{"https://shop.example"} })
	for origin, allowed := range map[string]string{"https://shop.example": "https://shop.example", "https://evil.example": ""} {
		asked, _ := u.do("OPTIONS", commands, "", "Authorization", "", "Origin", origin,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,cupline-ttl")
		if got := asked.Header.Get("Access-Control-Allow-Origin"); got != allowed {
			t.Errorf("preflight from %s: %q", origin, got)
		}
		if h := asked.Header.Get("Access-Control-Allow-Headers"); allowed != "" && (!strings.Contains(h, "Cupline-TTL") || !strings.Contains(h, "Authorization")) {
			t.Errorf("headers %s", h)
		}
		sent, _ := u.do("POST", commands, request, "Origin", origin)
		if got := sent.Header.Get("Access-Control-Allow-Origin"); got != allowed {
			t.Errorf("request from %s: %q", origin, got)
		}
		refused, _ := u.do("POST", commands, request, "Origin", origin, "Authorization", "Bearer bad")
		if got := refused.Header.Get("Access-Control-Allow-Origin"); got != allowed {
			t.Errorf("a page of %s cannot read why it was refused: %q", origin, got)
		}
	}
	closed := serve(t, nil, nil)
	if answer, _ := closed.do("GET", "/v1/none", "", "Origin", "https://shop.example"); answer.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("without an allow-list no origin is allowed")
	}
}

func unregistered(t testing.TB) *Metrics {
	t.Helper()
	m, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return m
}
