package root_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/root"
	"github.com/cupline/cupline/clients/go/cuplinetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ended is how a command line went.
type ended struct {
	out, errs string
	code      int
}

// execute runs a command line with an environment of its own.
func execute(ctx context.Context, env map[string]string, stdin string, args ...string) ended {
	var stdout, stderr bytes.Buffer
	code := root.Run(ctx, &console.Console{
		In: strings.NewReader(stdin), Out: &stdout, Err: &stderr, Getenv: func(name string) string { return env[name] },
	}, args)
	return ended{stdout.String(), stderr.String(), code}
}

func on(p *cuplinetest.Platform) map[string]string {
	return map[string]string{"CUPLINE_API_URL": p.URL(), "CUPLINE_PUSH_URL": p.URL(), "CUPLINE_KEY": "k"}
}

// launch runs a command line while the test plays the platform.
func launch(ctx context.Context, p *cuplinetest.Platform, args ...string) <-chan ended {
	done := make(chan ended, 1)
	go func() { done <- execute(ctx, on(p), "", args...) }()
	return done
}

// mailed collects the command ids that are acked over HTTP.
type mailed struct {
	mu  sync.Mutex
	ids []string
}

func (m *mailed) watch(p *cuplinetest.Platform) {
	p.Handle("POST /v1/mailbox/ack", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			IDs []string `json:"command_ids"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ids = append(m.ids, body.IDs...)
		w.WriteHeader(http.StatusNoContent)
	})
}

func (m *mailed) are(ids ...string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Equal(m.ids, ids)
}

// bodies notes what is posted, and answers 202.
func bodies(p *cuplinetest.Platform) <-chan string {
	posted := make(chan string, 8)
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- r.Header.Get("Cupline-TTL") + " " + string(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		cuplinetest.Accept(commandID)(w, r)
	})
	return posted
}
