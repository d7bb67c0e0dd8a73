package watch_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/e2e/online"
	"github.com/cupline/cupline/schema/device"
)

// patience is how long anything may take that is not itself under test: far more than it
// does, since the machine may be busy.
const patience = 90 * time.Second

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually asks until it is so; each question waits a little longer.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx := bounded(t)
	for pause := 10 * time.Millisecond; !so(); pause = min(2*pause, time.Second) {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(pause):
		}
	}
}

// tenant is one test's own, with a client that may do everything and a device over HTTP.
type tenant struct {
	name   string
	key    string
	client *cupline.Client
	// seen are the traceparents that the device got.
	seen chan string
}

const (
	lamp   = "lamp"   // answers
	absent = "absent" // is not there
)

func newTenant(t *testing.T) *tenant {
	t.Helper()
	n := &tenant{name: "t" + strings.ToLower(rand.Text()[:10]), seen: make(chan string, 1000)}
	printed, err := site.CLI(t.Context(), "keys", "create", "--database", "--tenant", n.name, "--client", "web",
		"--scope", "commands:send,replies:read,devices:read,devices:write,ops:read,ops:write", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil || made.Token == "" {
		t.Fatalf("keys create printed %s: %v", printed, err)
	}
	n.key = made.Token
	n.client, err = cupline.New(cupline.Config{
		URL: "http://" + site.Service("api").Public, PushURL: "ws://" + site.Service("pusher-0").Public, Key: n.key,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.client.CloseIdle)
	n.register(t)
	return n
}

func (n *tenant) register(t *testing.T) {
	t.Helper()
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			ID     json.RawMessage
			Method string
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("the device cannot read the request: %v", err)
		}
		n.seen <- r.Header.Get("traceparent")
		w.Header().Set("Content-Type", "application/json")
		if request.Method == "fail" {
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":1,"message":"no"}}`, request.ID)
			return
		}
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":true}`, request.ID)
	}))
	t.Cleanup(there.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	ctx := bounded(t)
	if _, err := n.client.PutDeviceType(ctx, device.Type{Name: "web", Lane: "default", Driver: "http"}); err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{lamp: there.URL, absent: gone.URL} {
		d := device.Device{ID: name, Type: "web", Address: json.RawMessage(`{"url":"` + url + `"}`)}
		if _, err := n.client.PutDevice(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
}

// listen connects the client, and returns what arrives.
func (n *tenant) listen(t *testing.T) <-chan cupline.Outcome {
	t.Helper()
	arrivals := make(chan cupline.Outcome, 10_000)
	online.Listen(t, n.client, patience, func(_ context.Context, o cupline.Outcome) error {
		arrivals <- o
		return nil
	})
	return arrivals
}

// take waits for that many outcomes, and returns how often each command's came.
func take(t *testing.T, arrivals <-chan cupline.Outcome, many int) map[string]int {
	t.Helper()
	got := map[string]int{}
	ctx := bounded(t)
	for range many {
		select {
		case o := <-arrivals:
			got[o.CommandID]++
		case <-ctx.Done():
			t.Fatalf("%d of %d outcomes arrived", len(got), many)
		}
	}
	return got
}

// post sends one request by plain HTTP, with a traceparent if there is one, and returns the command id.
func (n *tenant) post(t *testing.T, to, body, traceParent string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodPost,
		"http://"+site.Service("api").Public+"/v1/devices/"+to+"/commands", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Authorization", "Bearer "+n.key)
	request.Header.Set("Content-Type", "application/json")
	if traceParent != "" {
		request.Header.Set("traceparent", traceParent)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var accepted struct {
		CommandID string `json:"command_id"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&accepted); err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	return accepted.CommandID
}
