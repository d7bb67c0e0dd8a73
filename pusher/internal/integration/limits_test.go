package integration

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/doorway"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/identity"
)

// One tenant's sockets leave room for the others.
func TestSocketsOfATenantAreLimited(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.TenantConnections = 2 })
	if _, err := b.keys.PutTenant(t.Context(), "other", ""); err != nil {
		t.Fatal(err)
	}
	others, _, err := b.keys.CreateKey(t.Context(), identity.NewKey{Tenant: "other", Client: "web", Scopes: []string{"replies:read"}})
	if err != nil {
		t.Fatal(err)
	}
	web := b.key(t, "web")
	first := p.connect(t, web)
	p.connect(t, b.key(t, "app"))
	tooMany := p.dial(t, bearer(b.key(t, "desk")))
	tooMany.send(t, push.ClientFrame{Type: push.TypeHello})
	tooMany.closesWith(t, push.TooManyConnections)
	p.connect(t, others)
	// Who comes back in the place of his own old session is let in, and then there is room for no more.
	again := p.connect(t, web, push.ClientFrame{Session: first.welcome.Session})
	again.send(t, push.ClientFrame{Type: push.TypeBye})
	desk := b.key(t, "desk")
	brokertest.Eventually(t, "the room of one that left is free", func() bool { return p.letIn(t, desk) })
}

// Failed log-ins are counted, are in the audit trail with the address, and past their rate nobody from there is looked up but
// those whose key is known here.
func TestFailedLoginsAreLimitedAndOnRecord(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	known := b.key(t, "app")                                                   // before anybody listens: being told of a key is to forget it
	p := b.start(t, "slot-0", func(s *app.Settings) { s.FailedLogins = 0.01 }) // a bucket of one
	p.connect(t, known)
	token, id := b.keyWith(t, "web", "replies:read")
	if err := b.keys.RevokeKey(t.Context(), tenant, id); err != nil {
		t.Fatal(err)
	}
	try := func(token string, code push.CloseCode) {
		t.Helper()
		c := p.dial(t, bearer(token))
		c.send(t, push.ClientFrame{Type: push.TypeHello})
		c.closesWith(t, code)
	}
	try(token, push.Revoked)
	brokertest.Eventually(t, "the failed log-in is in the trail", func() bool {
		entries, err := audit.New(b.pool).List(t.Context(), "system", time.Time{}, 10)
		return err == nil && len(entries) == 1 && entries[0].Action == "login_failed" && entries[0].Actor == "key "+id &&
			strings.Contains(entries[0].Detail, "from 127.0.0.1") && !strings.Contains(entries[0].Detail, token)
	})
	try(b.key(t, "new"), push.RateLimited)
	p.connect(t, known)
	if n := p.metric(t, "cupline_push_failed_logins_total"); n != 2 {
		t.Errorf("%v are counted", n)
	}
}

// The token of a refresh counts as well, and a socket that sends what is no use is closed.
func TestFramesOfASocketAreLimited(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.FrameRate = 1 })
	flood, polite := p.connect(t, b.key(t, "web")), p.connect(t, b.key(t, "app"))
	for range 20 {
		if err := flood.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"pong"}`)); err != nil {
			break // closed already
		}
	}
	flood.closesWith(t, push.RateLimited)
	pings := p.connect(t, b.key(t, "desk"))
	for range 20 {
		if err := pings.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)); err != nil {
			break
		}
	}
	pings.closesWith(t, push.RateLimited)
	polite.expect(t, b.publish(t, "app", "1")[0])
}

// Connections that never say what they want take no more room than sockets may.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Connections, s.Hello = 2, time.Minute })
	token := b.key(t, "web")
	inside := p.connect(t, token)
	for range doorway.Spare + 1 {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	brokertest.Eventually(t, "all are counted", func() bool {
		return p.metric(t, "cupline_public_connections") == doorway.Spare+2
	})
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var late net.Error
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &late) && late.Timeout() {
		t.Errorf("one too many is let in: %v", err)
	}
	inside.expect(t, b.publish(t, "web", "1")[0])
}
