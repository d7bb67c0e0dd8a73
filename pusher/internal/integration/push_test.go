package integration

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/push"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/ledger"
)

// The frame's fields, the ack's way into the ledger, and that the broker forgets the reply.
func TestPushAndAck(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	c := p.connect(t, b.key(t, "web"))
	if w := c.welcome; w.Client != "web" || w.Window != 64 || w.Ping != 25 || w.Waiting != 0 || w.Reconnect != 60 || w.Session == "" {
		t.Fatalf("welcome %+v", w)
	}
	o := outcome("web", "c-42")
	o.Redrive = 3
	b.decided(t, o.CommandID, "web")
	b.broker.Publish(t, o.Message())
	got := c.outcome(t)
	if got.Seq != 1 || string(got.ID) != `"c-42"` || got.CommandID != o.CommandID.String() || got.Redrive != 3 || got.Device != "lamp" ||
		got.Method != "relay.set" || !got.At.Equal(o.At) || got.Origin != "device" || got.Source != "live" || string(got.Response) != string(o.Body) {
		t.Fatalf("got %+v", got)
	}
	c.ack(t, 1)
	reader := ledger.NewReader(b.pool)
	brokertest.Eventually(t, "the ledger knows of the ack", func() bool {
		row, err := reader.ByCommandID(t.Context(), tenant, "web", o.CommandID)
		return err == nil && !row.Delivered.IsZero()
	})
	p.stop(t)
	b.broker.Empty(t, topology.PushQueue("slot-0"))
	if n := b.waiting(t, "web"); n != 0 {
		t.Fatalf("%d in the mailbox", n)
	}
	b.broker.Empty(t, topology.MailboxQueue)
}

// decided makes the ledger row of a command that has its outcome.
func (b *bed) decided(t *testing.T, commandID uuid.UUID, client string) {
	t.Helper()
	w, err := ledger.NewWriter(b.pool, ledger.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Stop(t.Context()) }()
	key := ledger.Key{Tenant: tenant, Client: client, ID: []byte("s:" + commandID.String())}
	now := time.Now()
	if _, err := w.Claim(t.Context(), ledger.Claim{Key: key, CommandID: commandID, Token: uuid.New(), Accepted: now, Deadline: now}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Decide(t.Context(), ledger.Decision{Key: key, CommandID: commandID, Outcome: []byte("{}"), Origin: "device"}); err != nil {
		t.Fatal(err)
	}
}

// What was stored before the client came reaches it first, then live outcomes; announced
// ones too.
func TestMailboxThenLive(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	token := b.key(t, "web")
	before := b.publish(t, "web", "1", "2", "3")
	b.eventuallyWaiting(t, "web", 3)
	c := p.connect(t, token)
	if c.welcome.Waiting != 3 {
		t.Fatalf("welcome %+v", c.welcome)
	}
	for i, want := range before {
		if f := c.next(t); f.Type != "outcome" || f.Source != "mailbox" || f.CommandID != want || f.Seq != uint64(i+1) {
			t.Fatalf("got %+v, want %s from the mailbox", f, want)
		}
	}
	if f := c.next(t); f.Type != "lag" || f.On {
		t.Fatalf("got %+v, want lag off", f)
	}
	live := b.publish(t, "web", "4")
	if f := c.next(t); f.Source != "live" || f.CommandID != live[0] {
		t.Fatalf("got %+v, want %s live", f, live[0])
	}
	c.ack(t, 4)
	b.eventuallyWaiting(t, "web", 0)
	// Another writer stores something while the client is connected.
	other := outcome("web", "5")
	m := other.Message()
	m.Exchange = topology.MailboxExchange
	b.broker.Publish(t, m)
	if f := c.next(t); f.Source != "mailbox" || f.CommandID != other.CommandID.String() {
		t.Fatalf("got %+v, want %s from the mailbox", f, other.CommandID)
	}
	c.ack(t, 5)
	b.eventuallyWaiting(t, "web", 0)
}

func TestCredentialsAndOrigins(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) {
		s.Origin = []string{"https://app.example.com"}
		s.Hello = 8 * time.Second // for one case to wait for, and far more than the others need
	})
	token := b.key(t, "web")
	narrow, _ := b.keyWith(t, "web", "commands:send")
	hello := push.ClientFrame{Type: push.TypeHello}

	t.Run("subprotocol", func(t *testing.T) {
		c := p.dial(t, nil, push.Subprotocol, "cupline.token."+token)
		if c.ws.Subprotocol() != push.Subprotocol {
			t.Fatalf("subprotocol %q", c.ws.Subprotocol())
		}
		c.send(t, hello)
		c.next(t)
	})
	t.Run("hello", func(t *testing.T) {
		c := p.dial(t, http.Header{"Origin": {"https://app.example.com"}})
		c.send(t, push.ClientFrame{Type: push.TypeHello, Token: token})
		c.next(t)
	})
	for name, c := range map[string]struct {
		header http.Header
		frames []string
		code   push.CloseCode
	}{
		"bad token":      {bearer("cup_x_y"), []string{`{"type":"hello"}`}, push.BadToken},
		"no token":       {nil, []string{`{"type":"hello"}`}, push.BadToken},
		"no scope":       {bearer(narrow), []string{`{"type":"hello"}`}, push.Forbidden},
		"no hello":       {bearer(token), nil, push.NoHello},
		"ack first":      {bearer(token), []string{`{"type":"ack","seq":1}`}, push.BadFrame},
		"not JSON":       {bearer(token), []string{`hello`}, push.BadFrame},
		"no type":        {bearer(token), []string{`{}`}, push.BadFrame},
		"too long":       {bearer(token), []string{`{"type":"hello","token":"` + string(make([]byte, 17<<10)) + `"}`}, push.BadFrame},
		"second in line": {bearer(token), []string{`{"type":"hello"}` + "\n" + `{"type":"hello"}`}, push.BadFrame},
	} {
		t.Run(name, func(t *testing.T) {
			socket := p.dial(t, c.header)
			for _, f := range c.frames {
				if err := socket.ws.WriteMessage(1, []byte(f)); err != nil {
					t.Fatal(err)
				}
			}
			socket.closesWith(t, c.code)
		})
	}
	t.Run("binary frame", func(t *testing.T) {
		c := p.dial(t, bearer(token))
		if err := c.ws.WriteMessage(2, []byte(`{"type":"hello"}`)); err != nil {
			t.Fatal(err)
		}
		c.closesWith(t, push.BadFrame)
	})
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"foreign origin":      {http.Header{"Origin": {"https://evil.example.com"}, "Sec-Websocket-Protocol": {push.Subprotocol}}, http.StatusForbidden},
		"foreign subprotocol": {http.Header{"Sec-Websocket-Protocol": {"chat"}}, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			if status, problem := p.refused(t, c.header); status != c.status || problem.Status != c.status || problem.Detail == "" {
				t.Fatalf("status %d, problem %+v", status, problem)
			}
		})
	}
}

type problem struct {
	Status int
	Detail string
}

// refused asks for an upgrade that is not granted.
func (p *pusher) refused(t *testing.T, header http.Header) (int, problem) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.Addr()+"/v1/connect", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header.Clone()
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		request.Header.Set(name, value)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer problem
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

func TestRevokedKeyClosesItsSessions(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	token, id := b.keyWith(t, "web", "replies:read")
	revoked, stays := p.connect(t, token), p.connect(t, b.key(t, "web"))
	if err := b.keys.RevokeKey(t.Context(), tenant, id); err != nil {
		t.Fatal(err)
	}
	revoked.closesWith(t, push.Revoked)
	again := p.dial(t, bearer(token))
	again.send(t, push.ClientFrame{Type: push.TypeHello})
	again.closesWith(t, push.Revoked)
	b.publish(t, "web", "1")
	stays.outcomes(t, 1)
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0", func(s *app.Settings) { s.Connections, s.ClientConnections = 3, 2 })
	token := b.key(t, "web")
	p.connect(t, token)
	p.connect(t, token)
	third := p.dial(t, bearer(token))
	third.send(t, push.ClientFrame{Type: push.TypeHello})
	third.closesWith(t, push.TooManyConnections)
	other := b.key(t, "other")
	brokertest.Eventually(t, "the room of the third is free", func() bool { return p.letIn(t, other) })
	p.dial(t, nil).closesWith(t, push.TooManyConnections)
}

func TestByeUnbindsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	p := b.start(t, "slot-0")
	token := b.key(t, "web")
	first, second := p.connect(t, token), p.connect(t, token)
	first.send(t, push.ClientFrame{Type: push.TypeBye})
	first.closesWith(t, 1000)
	b.publish(t, "web", "1")
	second.outcomes(t, 1) // still bound for the second socket
	second.send(t, push.ClientFrame{Type: push.TypeBye})
	second.closesWith(t, 1000)
	b.eventuallyBound(t, "slot-0", "web", false)
}
