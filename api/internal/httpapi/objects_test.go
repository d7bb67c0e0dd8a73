package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// still is an intake's neighbourhood that makes no objects: one device, and a broker that confirms at once.
type still struct{ target intake.Target }

func (s still) Resolve(context.Context, string, string) (intake.Target, error) { return s.target, nil }
func (still) Publish(context.Context, message.Message) error                   { return nil }
func (still) Submit(_ context.Context, _ message.Message, done func(error))    { go done(nil) }
func (still) Full(string, string) bool                                         { return false }
func (still) Now() time.Time                                                   { return time.UnixMilli(1_772_000_000_000).UTC() }
func (still) Accepted(string, string)                                          {}
func (still) NotAccepted(string, problem.Code)                                 {}

// door answers one request again and again, without the objects that net/http makes of a connection's bytes.
type door struct {
	server *Server
	body   kept
	post   *http.Request
	answer quietAnswer
}

func newDoor(t testing.TB) *door {
	t.Helper()
	lamp := &device.Type{Tenant: "acme", Name: "lamp", Lane: "default", Driver: "mqtt", Methods: map[string]device.Method{"host.info": {}}}
	near := still{intake.Target{Device: device.Device{Tenant: "acme", ID: "lamp-1", Type: "lamp"}, Type: lamp, TypeVersion: 1, Lane: topology.DefaultLane()}}
	d := &door{body: kept{bytes.NewReader(nil)}, answer: quietAnswer{header: http.Header{}}}
	d.server = New(Config{Verifier: doorkeeper{}, Log: zap.NewNop(), Metrics: unregistered(t), Acceptor: intake.New(intake.Config{
		Registry: near, Publisher: near, Quota: near, Clock: near, Observer: near,
	})})
	d.post = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/devices/lamp-1/commands", nil)
	d.post.Header.Set("Authorization", "Bearer good")
	d.post.Header.Set("Content-Type", "application/json")
	return d
}

func (d *door) knock(t testing.TB) {
	body := []byte(`{"jsonrpc":"2.0","id":"c-42","method":"host.info","params":{"verbose":true}}`)
	d.body.Reset(body)
	d.post.Body, d.post.ContentLength = d.body, int64(len(body))
	d.answer.status = 0
	clear(d.answer.header)
	if d.server.echo.ServeHTTP(&d.answer, d.post); d.answer.status != http.StatusAccepted {
		t.Fatal(d.answer.status)
	}
}

// kept is a body that is read again and again.
type kept struct{ *bytes.Reader }

func (kept) Close() error { return nil }

type quietAnswer struct {
	header http.Header
	status int
}

func (a *quietAnswer) Header() http.Header         { return a.header }
func (a *quietAnswer) WriteHeader(status int)      { a.status = status }
func (a *quietAnswer) Write(b []byte) (int, error) { return len(b), nil }

// The budget of a command's objects, from the handler to the message that is published, and back to the answer: what it takes
// now, 43, and two that the race detector adds by emptying pools. Intake's own part, of 25 at most, has a budget in its own room; Echo's, the log-in's, and the answer's come on top here, and
// those that net/http makes of a connection's bytes are not in it.
func TestObjectsFromHandlerToPublish(t *testing.T) {
	const budget = 45
	d := newDoor(t)
	got := testing.AllocsPerRun(500, func() { d.knock(t) })
	t.Logf("%.0f objects", got)
	if got > budget {
		t.Errorf("a command takes %.0f objects, the budget is %d", got, budget)
	}
}

func BenchmarkHandlerToPublish(b *testing.B) {
	d := newDoor(b)
	b.ReportAllocs()
	for b.Loop() {
		d.knock(b)
	}
}
