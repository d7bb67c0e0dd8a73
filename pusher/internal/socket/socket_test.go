package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/pusher/internal/wheel"
	"github.com/cupline/cupline/schema/push"
)

// hub is all that sessions need, and hands out the last one that joined.
type hub struct {
	joined chan *session.Session
	left   chan *session.Session
}

func (h *hub) Verify(_ context.Context, token, _ string) (session.Principal, error) {
	if token != "good" {
		return session.Principal{}, session.ErrBadToken
	}
	return session.Principal{Tenant: "t", Client: "c"}, nil
}

func (h *hub) Recheck(context.Context, session.Principal) error { return nil }

func (h *hub) Join(_ context.Context, s *session.Session, _ string) error {
	h.joined <- s
	return nil
}
func (h *hub) Leave(s *session.Session, _ bool)                             { h.left <- s }
func (h *hub) Mail(*session.Session)                                        {}
func (h *hub) Counts(context.Context, string, string) (int64, int64, error) { return 0, 0, nil }
func (h *hub) Acked(*session.Item)                                          {}

type observer struct{}

func (observer) Pushed(string)               {}
func (observer) Acked(*session.Item, string) {}
func (observer) LagEntered(session.Cause)    {}
func (observer) Ended(push.CloseCode)        {}

type testServer struct {
	*Server
	*hub
}

// serve runs a server until the test ends.
func serve(t testing.TB, tweak func(*Config)) testServer {
	t.Helper()
	h := &hub{joined: make(chan *session.Session, 10_000), left: make(chan *session.Session, 20_000)}
	w := wheel.New(100 * time.Millisecond)
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Addr: "127.0.0.1:0", MaxConnections: 100_000, HeaderLimit: 30 * time.Second, WriteLimit: 30 * time.Second,
		CloseLimit: time.Second, QueueBytes: 64 << 10, Log: zap.NewNop(),
		Session: &session.Config{
			Limits: session.Limits{
				Window: 64, WindowBytes: 256 << 10, Hello: 30 * time.Second, Join: time.Second, Lookup: time.Second,
				Ping: time.Minute, Pong: time.Minute, Unacked: time.Minute, AckTimeout: time.Hour, Dwell: time.Second, Reconnect: time.Minute,
			},
			Verifier: h, Hub: h, Mailbox: h, Receipts: h, Observer: observer{}, Wheel: w,
			Now: time.Now, Database: time.Now, Log: zap.NewNop(),
		},
	}
	if tweak != nil {
		tweak(&cfg)
	}
	s := New(cfg)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(s.Close(ctx), s.Stop(ctx), w.Stop(ctx)); err != nil {
			t.Error(err)
		}
	})
	return testServer{s, h}
}

func (s testServer) dial(t testing.TB, header http.Header) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{push.Subprotocol}, HandshakeTimeout: 30 * time.Second}
	ws, _, err := dialer.DialContext(t.Context(), "ws://"+s.Addr()+Path, header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

// connect opens a session and returns both of its sides.
func (s testServer) connect(t testing.TB) (*websocket.Conn, *session.Session) {
	t.Helper()
	ws := s.dial(t, http.Header{"Authorization": {"Bearer good"}})
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello"}`)); err != nil {
		t.Fatal(err)
	}
	if _, message, err := ws.ReadMessage(); err != nil || !bytes.Contains(message, []byte(`"welcome"`)) {
		t.Fatalf("got %s, %v", message, err)
	}
	return ws, <-s.joined
}

func item(size int) *session.Item {
	return &session.Item{Outcome: push.Outcome{CommandID: "x", Response: []byte(`"` + strings.Repeat("x", size) + `"`)}}
}

func closeCode(t testing.TB, ws *websocket.Conn) int {
	t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		_, _, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code
		}
		if err != nil {
			t.Fatalf("the line broke: %v", err)
		}
	}
}

// What is queued goes out before the close code, and the code arrives although the client
// was still sending.
func TestCloseCodeComesLast(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	ws, session := s.connect(t)
	for range 20 {
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"pong"}`))
	}
	var items []*sessionItem
	for i := range 10 {
		it := item(1000)
		it.ID[0] = byte(i + 1)
		items = append(items, it)
	}
	session.Fill(time.Now(), items, 0, 0)
	session.End(push.Drained)
	outcomes := 0
	for {
		_, message, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			if closed.Code != int(push.Drained) || closed.Text != push.Drained.Reason() {
				t.Fatalf("closed with %d %q", closed.Code, closed.Text)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		outcomes += bytes.Count(message, []byte(`"outcome"`))
	}
	if outcomes != len(items) {
		t.Fatalf("%d outcomes before the close, want %d", outcomes, len(items))
	}
}

type sessionItem = session.Item

// A client that does not read is cut off once its queue is past the bound; nobody waits
// for it, and the others go on.
func TestReaderThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Session.Limits.WindowBytes, c.Session.Limits.Window = 1<<30, 1<<20
		c.WriteLimit = 10 * time.Minute // what waits for the slow one waits that long
	})
	slow, slowSession := s.connect(t)
	// A small buffer at the client's side, so that the line is full early.
	if tcp, ok := slow.NetConn().(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	fast, fastSession := s.connect(t)
	began := time.Now()
	for i := range 2000 {
		it := item(32 << 10)
		it.ID[0], it.ID[1] = byte(i), byte(i>>8)
		slowSession.Fill(time.Now(), []*session.Item{it}, 0, 0)
	}
	if took := time.Since(began); took > time.Minute {
		t.Fatalf("a slow client held up its sender for %s", took)
	}
	fastSession.Fill(time.Now(), []*session.Item{item(10)}, 0, 0)
	if _, message, err := fast.ReadMessage(); err != nil || !bytes.Contains(message, []byte(`"outcome"`)) {
		t.Fatalf("got %s, %v", message, err)
	}
	if gone := <-s.left; gone != slowSession {
		t.Fatal("another session left")
	}
}

// Several frames for a busy socket travel as one message, joined by newlines.
func TestFramesAreJoined(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	ws, session := s.connect(t)
	var items []*sessionItem
	for i := range 50 {
		it := item(100)
		it.ID[0] = byte(i + 1)
		items = append(items, it)
	}
	session.Fill(time.Now(), items, 0, 0)
	messages := 0
	for frames := 0; frames < len(items); messages++ {
		_, message, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		frames += bytes.Count(message, []byte("\n")) + 1
	}
	if messages >= len(items) {
		t.Fatalf("%d messages for %d frames", messages, len(items))
	}
}

func TestDraining(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	ws, _ := s.connect(t)
	waiting := s.dial(t, nil) // has not said hello
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := net.DialTimeout("tcp", s.Addr(), time.Second); err == nil {
		t.Fatal("it listens still")
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	for _, c := range []*websocket.Conn{ws, waiting} {
		if code := closeCode(t, c); code != int(push.Drained) {
			t.Fatalf("closed with %d", code)
		}
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

// A stop that has run out of time cuts what is left.
func TestStopOutOfTime(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.CloseLimit = time.Hour })
	s.connect(t) // never answers the close
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := errors.Join(s.Close(t.Context()), s.Stop(ctx)); err != nil {
		t.Fatal(err)
	}
}

func TestSlowLoris(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.HeaderLimit = 100 * time.Millisecond })
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprint(conn, "GET /v1/connect HTTP/1.1\r\nHost: x\r\nX: "); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1024)); errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("it waits for ever")
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("a", 43)
	ticket, key := "cut_"+secret, "cup_"+strings.Repeat("a", 16)+"_"+secret
	for name, c := range map[string]struct {
		header    http.Header
		protocols []string
		want      string
		query     string
	}{
		"header":             {http.Header{"Authorization": {"Bearer abc"}}, nil, "abc", "ticket=" + ticket},
		"scheme's case":      {http.Header{"Authorization": {"bearer abc"}}, nil, "abc", ""},
		"another scheme":     {http.Header{"Authorization": {"Basic abc"}}, nil, "", ""},
		"subprotocol":        {nil, []string{push.Subprotocol, "cupline.token.a.b"}, "a.b", ""},
		"header comes first": {http.Header{"Authorization": {"Bearer abc"}}, []string{"cupline.token.x"}, "abc", ""},
		"none":               {nil, []string{push.Subprotocol}, "", ""},
		"ticket":             {nil, nil, ticket, "ticket=" + ticket},
		"a key in the URL":   {nil, nil, "", "ticket=" + key + "&token=" + key + "&access_token=" + key},
		"a token in the URL": {nil, nil, "", "ticket=eyJ.e30.x&token=eyJ.e30.x"},
	} {
		if got := credentials(&http.Request{Header: c.header, URL: &url.URL{RawQuery: c.query}}, c.protocols); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allowed []string
		origin  string
		want    bool
	}{
		{nil, "", true}, {nil, "https://push.example.com", true}, {nil, "https://evil.com", false}, {nil, "null", false},
		{[]string{"https://app.example.com"}, "https://app.example.com", true}, {[]string{"https://app.example.com/"}, "https://APP.example.com", true},
		{[]string{"https://app.example.com"}, "http://app.example.com", false}, {[]string{"https://app.example.com"}, "https://app.example.com.evil.com", false},
		{[]string{"*"}, "https://evil.com", true},
	} {
		s := New(Config{Origins: c.allowed, Log: zap.NewNop()})
		r := &http.Request{Host: "push.example.com", Header: http.Header{}}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if got := s.allowed(r); got != c.want {
			t.Errorf("allowed %v, origin %q: %v", c.allowed, c.origin, got)
		}
	}
}

// Everything that a socket does at once, for the race detector.
func TestStress(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var all sync.WaitGroup
	for range 20 {
		ws, session := s.connect(t)
		all.Go(func() {
			for i := range 50 {
				it := item(10)
				it.ID[0], it.ID[1] = byte(i), 1
				session.Fill(time.Now(), []*sessionItem{it}, 0, 0)
			}
			session.End(push.Drained)
		})
		all.Go(func() {
			for range 50 {
				if ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"pong"}`+"\n"+`{"type":"ack","seq":0}`)) != nil {
					return
				}
			}
		})
		all.Go(func() { closeCode(t, ws) })
	}
	all.Wait()
}
