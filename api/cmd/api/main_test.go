package main

import (
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/api/internal/app"
	"github.com/cupline/cupline/chassis/settings"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	var s app.Settings
	if err := settings.Load(&s, []string{"AMQP_URL=amqp://x", "DATABASE_URL=postgres://x", "CUPLINE_CORS_ORIGINS=https://a.example, http://b.example:8080"}); err != nil {
		t.Fatal(err)
	}
	if s.PublishTimeout != 5*time.Second || s.PublishWindow != 1024 || len(s.Origins) != 2 || s.Listen != "127.0.0.1:8080" || s.AccessLog {
		t.Errorf("%+v", s)
	}
	err := settings.Load(&s, []string{
		"AMQP_URL=amqp://x", "DATABASE_URL=postgres://u:secret@x", "CUPLINE_PUBLISH_TIMEOUT=1m", "CUPLINE_PUBLISH_WINDOW=0", "CUPLINE_LONG_POLLS=-1",
		"CUPLINE_DATABASE_CONNECTIONS=1", "CUPLINE_DRAIN=1h", "CUPLINE_CORS_ORIGINS=*,https://*.example,https://a.example/,ftp://a,shop.example",
	})
	if err == nil {
		t.Fatal("all of that was taken")
	}
	if n := strings.Count(err.Error(), "CUPLINE_"); n != 10 || strings.Contains(err.Error(), "secret") {
		t.Errorf("%d problems: %v", n, err)
	}
	if err := settings.Load(&s, nil); err == nil || !strings.Contains(err.Error(), "AMQP_URL") || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("%v", err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	var out, logs strings.Builder
	if err := run([]string{"--settings"}, nil, &out, &logs); err != nil || !strings.Contains(out.String(), "| `CUPLINE_LISTEN` | `127.0.0.1:8080` |") {
		t.Errorf("%v: %s", err, out.String())
	}
	if err := run([]string{"serve"}, nil, &out, &logs); err == nil || !strings.Contains(err.Error(), `unexpected argument "serve"`) {
		t.Error(err)
	}
	if err := run(nil, []string{"AMQP_URL=amqp://x"}, &out, &logs); err == nil || !strings.Contains(err.Error(), "DATABASE_URL is not set") {
		t.Error(err)
	}
	err := run(nil, []string{"AMQP_URL=amqp://127.0.0.1:1", "DATABASE_URL=postgres://127.0.0.1:1/x", "CUPLINE_LISTEN=nowhere:x", "CUPLINE_INTERNAL_ADDR=127.0.0.1:0"}, &out, &logs)
	if err == nil || !strings.Contains(err.Error(), "listen on the public port") {
		t.Errorf("a port that cannot be listened on: %v", err)
	}
}
