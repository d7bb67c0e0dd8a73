package cupline_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/clients/go/cuplinetest"
	"github.com/cupline/cupline/schema/device"
)

// script answers requests by "METHOD /path?query", and notes bodies.
type script struct {
	answers map[string]string
	bodies  []string
}

func (s *script) client(t *testing.T) *cupline.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.bodies = append(s.bodies, string(body))
		answer, known := s.answers[r.Method+" "+r.URL.RequestURI()]
		switch {
		case !known:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprintf(w, `{"title":"No such thing","status":404,"code":"not_found","detail":%q}`, r.Method+" "+r.URL.RequestURI())
		case answer == "":
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, answer)
		}
	}))
	t.Cleanup(server.Close)
	c, err := cupline.New(cupline.Config{URL: server.URL, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

func TestListsWalkOverPages(t *testing.T) {
	t.Parallel()
	c := (&script{answers: map[string]string{
		"GET /v1/devices?limit=1000":         `{"devices":[{"device":"a","type":"t"},{"device":"b","type":"t"}],"next":"b"}`,
		"GET /v1/devices?after=b&limit=1000": `{"devices":[{"device":"c","type":"t","labels":{"x":"y"}}]}`,
		"GET /v1/device-types?limit=1000":    `{"device_types":[{"type":"t","lane":"default","driver":"mqtt","methods":{"m":{"timeout":"5s"}}}],"next":"t"}`,
		"GET /v1/keys?limit=1000":            `{"keys":[{"key":"k1","client":"web","scopes":["replies:read"],"created_at":"2030-01-01T00:00:00Z"}]}`,
	}}).client(t)
	var ids []string
	for d, err := range c.Devices(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, d.ID)
	}
	if strings.Join(ids, "") != "abc" {
		t.Errorf("devices are %q", ids)
	}
	types, failures := 0, 0
	for _, err := range c.DeviceTypes(t.Context()) {
		if err != nil {
			failures++
		} else {
			types++
		}
	}
	if types != 1 || failures != 1 {
		t.Errorf("%d types and %d failures, where the second page is not there", types, failures)
	}
	for k, err := range c.Keys(t.Context()) {
		if err != nil || k.ID != "k1" || !k.Expires.IsZero() {
			t.Errorf("key is %+v, %v", k, err)
		}
	}
}

func TestRegistryAndKeys(t *testing.T) {
	t.Parallel()
	s := &script{answers: map[string]string{
		"PUT /v1/devices/lamp-1":    `{"device":"lamp-1","type":"lamp"}`,
		"DELETE /v1/devices/lamp-1": ``,
		"PUT /v1/device-types/lamp": `{"type":"lamp","lane":"default","driver":"mqtt"}`,
		"GET /v1/lanes":             `{"lanes":[{"lane":"default","max_ttl":"1h","max_length":9,"ledger":true}]}`,
		"POST /v1/keys":             `{"key":"k1","token":"cup_k1_s","client":"web","scopes":["replies:read"],"created_at":"2030-01-01T00:00:00Z"}`,
		"DELETE /v1/keys/k1":        ``,
	}}
	c := s.client(t)
	if d, err := c.PutDevice(t.Context(), device.Device{ID: "lamp-1", Type: "lamp"}); err != nil || d.ID != "lamp-1" {
		t.Errorf("device is %+v, %v", d, err)
	}
	if _, err := c.PutDeviceType(t.Context(), device.Type{Name: "lamp", Lane: "default", Driver: "mqtt",
		Methods: map[string]device.Method{"on": {Timeout: device.Duration(5 * time.Second)}}}); err != nil {
		t.Error(err)
	}
	if want := `{"type":"lamp","lane":"default","driver":"mqtt","methods":{"on":{"timeout":"5s"}}}`; s.bodies[1] != want {
		t.Errorf("put %s", s.bodies[1])
	}
	if err := c.DeleteDevice(t.Context(), "lamp-1"); err != nil {
		t.Error(err)
	}
	if lanes, err := c.Lanes(t.Context()); err != nil || len(lanes) != 1 || lanes[0].MaxTTL != device.Duration(time.Hour) {
		t.Errorf("lanes are %+v, %v", lanes, err)
	}
	if token, key, err := c.CreateKey(t.Context(), cupline.NewKey{Client: "web", Scopes: []string{"replies:read"}}); err != nil || token != "cup_k1_s" || key.ID != "k1" {
		t.Errorf("key is %q %+v, %v", token, key, err)
	}
	if want := `{"client":"web","scopes":["replies:read"]}`; s.bodies[4] != want {
		t.Errorf("posted %s", s.bodies[4])
	}
	if err := c.RevokeKey(t.Context(), "k1"); err != nil {
		t.Error(err)
	}
	_, err := c.Device(t.Context(), "lamp-2")
	var problem *cupline.Problem
	if !errors.Is(err, cupline.ErrNotFound) || !errors.As(err, &problem) || problem.Detail != "GET /v1/devices/lamp-2" {
		t.Errorf("a device that is not there: %v", err)
	}
	if _, err := c.Device(t.Context(), "../keys"); !errors.Is(err, cupline.ErrRefused) {
		t.Errorf("a device that is a path: %v", err)
	}
}

func TestCommandsAndMailbox(t *testing.T) {
	t.Parallel()
	const id = "0190b1f0-0000-7000-8000-000000000000"
	row := `{"id":"c-42","command_id":"` + id + `","redrive":0,"device":"lamp-1","method":"echo","lane":"default","state":"decided",
		"accepted_at":"2030-01-01T00:00:00Z","expires_at":"2030-01-01T00:01:00Z","decided_at":"2030-01-01T00:00:01Z",
		"origin":"device","response":{"jsonrpc":"2.0","id":"c-42","result":7}}`
	s := &script{answers: map[string]string{
		"GET /v1/commands/" + id:          row,
		"GET /v1/commands?id=%22c-42%22":  `{"commands":[` + row + `]}`,
		"GET /v1/mailbox?limit=2&wait=1s": `{"outcomes":[` + outcomeFrame(0, `"a"`, id) + `],"waiting":5}`,
		"GET /v1/mailbox":                 `{"outcomes":[],"waiting":0}`,
		"POST /v1/mailbox/ack":            ``,
	}}
	c := s.client(t)
	command, err := c.Command(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	o, decided := command.Outcome()
	if result, err := o.Result(); !decided || err != nil || string(result) != "7" {
		t.Errorf("outcome is %+v, %v", o, err)
	}
	if commands, err := c.Commands(t.Context(), json.RawMessage(`"c-42"`)); err != nil || len(commands) != 1 {
		t.Errorf("commands are %+v, %v", commands, err)
	}
	if _, err := c.Command(t.Context(), "c-42"); !errors.Is(err, cupline.ErrRefused) {
		t.Errorf("a command id that is none: %v", err)
	}
	if m, err := c.Mailbox(t.Context(), time.Second, 2); err != nil || m.Waiting != 5 || string(m.Outcomes[0].ID) != `"a"` {
		t.Errorf("mailbox is %+v, %v", m, err)
	}
	if m, err := c.Mailbox(t.Context(), 0, 0); err != nil || len(m.Outcomes) != 0 {
		t.Errorf("mailbox is %+v, %v", m, err)
	}
	before := len(s.bodies)
	if err := c.AckMailbox(t.Context(), make([]string, 300)...); err != nil || len(s.bodies) != before+2 {
		t.Errorf("300 ids took %d requests, %v", len(s.bodies)-before, err)
	}
}

func TestBatchTellsOfEachItem(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	status, answer := http.StatusAccepted, `{"items":[
		{"state":"accepted","id":1,"command_id":"c-1","expires_at":"2030-01-01T00:00:00Z"},
		{"state":"refused","id":2,"problem":{"title":"T","status":503,"code":"queue_full"}},
		{"state":"in_doubt","id":3,"command_id":"c-3","problem":{"title":"T","status":504,"code":"in_doubt"}}]}`
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	const batch = `[{"jsonrpc":"2.0","id":1,"method":"m"},{"jsonrpc":"2.0","id":2,"method":"m"},{"jsonrpc":"2.0","id":3,"method":"m"}]`
	c := newClient(t, p)
	items, err := c.SendBatch(t.Context(), "lamp-1", []byte(batch), 0)
	if err != nil || len(items) != 3 {
		t.Fatal(items, err)
	}
	if items[0].Err() != nil || items[0].CommandID != "c-1" || string(items[0].ID) != "1" {
		t.Errorf("item 0 is %+v", items[0])
	}
	if err := items[1].Err(); !errors.Is(err, cupline.ErrRefused) {
		t.Errorf("item 1 says %v", err)
	}
	if err := items[2].Err(); !errors.Is(err, cupline.ErrInDoubt) || items[2].CommandID != "c-3" {
		t.Errorf("item 2 says %v", err)
	}
	for _, body := range []string{`[]`, `{"jsonrpc":"2.0","id":1,"method":"m"}`, `[{"jsonrpc":"2.0","id":null,"method":"m"}]`} {
		if _, err := c.SendBatch(t.Context(), "lamp-1", []byte(body), 0); !errors.Is(err, cupline.ErrRefused) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestProblemSpeaksPlainly(t *testing.T) {
	t.Parallel()
	var p cupline.Problem
	if err := json.Unmarshal([]byte(`{"title":"Not what it has to be","status":400,"code":"invalid_request","detail":"method: is missing","index":3,"problems":["a","b"]}`), &p); err != nil {
		t.Fatal(err)
	}
	if want := "Not what it has to be, item 3: method: is missing: a; b (400 invalid_request)"; p.Error() != want {
		t.Errorf("got %s", p.Error())
	}
	if (&cupline.Problem{Status: 502}).Error() != "502 Bad Gateway" {
		t.Errorf("got %s", (&cupline.Problem{Status: 502}).Error())
	}
}
