package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg telemetry.ServerConfig) *telemetry.Server {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	if cfg.Registry == nil {
		cfg.Registry = telemetry.NewRegistry()
	}
	s := telemetry.NewServer(cfg)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ask(t *testing.T, s *telemetry.Server, method, path, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func TestReadinessSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := start(t, telemetry.ServerConfig{CheckLimit: time.Minute})
	broken := errors.New("no link to the broker for 3s")
	state := make(chan error, 1)
	s.Check("broker", func(context.Context) error { err := <-state; return err })
	s.Check("database", func(context.Context) error { return nil })

	state <- nil
	if status, body := ask(t, s, "GET", "/readyz", ""); status != 200 || body != "{\"status\":\"ok\"}\n" {
		t.Fatalf("got %d %s", status, body)
	}
	state <- broken
	status, body := ask(t, s, "GET", "/readyz", "")
	if want := `{"status":"unavailable","missing":{"broker":"no link to the broker for 3s"}}` + "\n"; status != 503 || body != want {
		t.Fatalf("got %d %s, want %s", status, body, want)
	}
	impatient := start(t, telemetry.ServerConfig{CheckLimit: 50 * time.Millisecond})
	impatient.Check("slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if status, body := ask(t, impatient, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, `"slow"`) {
		t.Fatalf("got %d %s", status, body)
	}
	s.SetDraining()
	if status, body := ask(t, s, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, "draining") {
		t.Fatalf("got %d %s", status, body)
	}
	if status, _ := ask(t, s, "GET", "/healthz", ""); status != 200 {
		t.Fatalf("healthz: got %d", status)
	}
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	registry := telemetry.NewRegistry()
	seconds := prometheus.NewHistogram(telemetry.Seconds("test_seconds", "A test."))
	sizes := prometheus.NewHistogram(telemetry.Sizes("test_sizes", "A test."))
	registry.MustRegister(seconds, sizes)
	seconds.Observe(0.003)
	sizes.Observe(64)
	s := start(t, telemetry.ServerConfig{Registry: registry})
	status, body := ask(t, s, "GET", "/metrics", "")
	for _, want := range []string{`test_seconds_bucket{le="0.004"} 1`, `test_sizes_bucket{le="64"} 1`, "go_goroutines", "process_"} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("got %d, without %s", status, want)
		}
	}
}

func TestLogLevelIsChangedWhileRunning(t *testing.T) {
	t.Parallel()
	var written bytes.Buffer
	log, level, err := telemetry.NewLog(&written, telemetry.LogConfig{Level: "info", Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, telemetry.ServerConfig{Level: level})
	log.Debug("not yet")
	if status, body := ask(t, s, "PUT", "/loglevel", `{"level":"debug"}`); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	log.Debug("now", zap.String("tenant", "demo"), zap.Duration("took", 1500*time.Millisecond))
	var line map[string]any
	if err := json.Unmarshal(written.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, written.String())
	}
	delete(line, "time")
	if want := map[string]any{"level": "debug", "msg": "now", "tenant": "demo", "took": "1.5s"}; !maps.Equal(line, want) {
		t.Fatalf("got %v, want %v", line, want)
	}
}

func TestLogConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, cfg := range []telemetry.LogConfig{{Level: "loud"}, {Level: "info", Format: "xml"}} {
		if _, _, err := telemetry.NewLog(io.Discard, cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	first := start(t, telemetry.ServerConfig{})
	second := telemetry.NewServer(telemetry.ServerConfig{Addr: first.Addr(), Registry: telemetry.NewRegistry()})
	if err := second.Start(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTraceIsCopiedIntoANewMap(t *testing.T) {
	t.Parallel()
	from := map[string]any{"traceparent": "00-1-2-01", "tracestate": "a=b", "other": 1}
	to := map[string]any{"tenant": "demo"}
	got := telemetry.CopyTrace(to, from)
	if want := map[string]any{"tenant": "demo", "traceparent": "00-1-2-01", "tracestate": "a=b"}; !maps.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
	if len(to) != 1 {
		t.Fatalf("the headers given were changed: %v", to)
	}
	if got := telemetry.WithTrace(nil, strings.Repeat("x", 600), ""); got != nil {
		t.Fatalf("an overlong trace was carried on: %v", got)
	}
	if got := telemetry.CopyTrace(to, nil); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
}
