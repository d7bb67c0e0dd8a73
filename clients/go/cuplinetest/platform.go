// Package cuplinetest is a scripted Cupline, for tests of the client and of programs that
// use it: the test says what it answers, and takes its WebSocket connections one by one.
package cuplinetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/schema/push"
)

// Patience is how long a test waits for anything before it fails.
const Patience = time.Minute

// Platform is a server that ends with the test. Its methods are for concurrent use.
type Platform struct {
	t       testing.TB
	server  *httptest.Server
	sockets chan *Socket

	mu     sync.Mutex // guards routes
	routes map[string]http.HandlerFunc
}

// Routes that a new platform answers: commands with 202 and the command id "cmd-1", and
// the upgrade of connections. Others have to be set with Handle, or are 404.
const (
	Commands = "POST /v1/devices/{device}/commands"
	Connect  = "GET /v1/connect"
)

// New starts a platform.
func New(t testing.TB) *Platform {
	p := &Platform{t: t, sockets: make(chan *Socket, 16), routes: map[string]http.HandlerFunc{}}
	p.Handle(Commands, Accept("cmd-1"))
	p.Handle(Connect, p.upgrade)
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	return p
}

// URL is the address of API and pusher, http://.
func (p *Platform) URL() string { return p.server.URL }

// Handle sets the answer of a route, written as for http.ServeMux, in place of what it was.
func (p *Platform) Handle(route string, answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.routes[route] = answer
}

func (p *Platform) serve(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	p.mu.Lock()
	for route, answer := range p.routes {
		mux.HandleFunc(route, answer)
	}
	p.mu.Unlock()
	mux.ServeHTTP(w, r)
}

// Close cuts every connection and returns when all that was sent has been read.
func (p *Platform) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// Accept answers 202 as the API does.
func Accept(commandID string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			ID json.RawMessage `json:"id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"id":%s,"command_id":%q,"expires_at":"2030-01-01T00:00:00Z"}`, request.ID, commandID)
	}
}

// Problem answers as the API does when it refuses or does not know.
func Problem(status int, code, detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"type":"urn:cupline:problem:%s","title":"A problem","status":%d,"code":%q,"detail":%q}`, code, status, code, detail)
	}
}

func (p *Platform) upgrade(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{push.Subprotocol}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	p.sockets <- &Socket{t: p.t, conn: conn, Authorization: r.Header.Get("Authorization")}
}

// Next is the client's next connection; it is cut when the test ends.
func (p *Platform) Next() *Socket {
	p.t.Helper()
	select {
	case s := <-p.sockets:
		p.t.Cleanup(s.Cut)
		return s
	case <-time.After(Patience):
		p.t.Fatal("the client did not connect")
		return nil
	}
}

// Socket is one connection, seen from the platform.
type Socket struct {
	// Authorization is the header that it came with.
	Authorization string

	t    testing.TB
	conn *websocket.Conn
}

// Read is the client's next frame.
func (s *Socket) Read() push.ClientFrame {
	s.t.Helper()
	f, err := s.TryRead()
	if err != nil {
		s.t.Fatalf("read from the client: %v", err)
	}
	return f
}

// TryRead is Read for when the connection may end.
func (s *Socket) TryRead() (push.ClientFrame, error) {
	var f push.ClientFrame
	if err := s.conn.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return f, err
	}
	_, message, err := s.conn.ReadMessage()
	if err == nil {
		err = json.Unmarshal(message, &f)
	}
	return f, err
}

// Send writes frames, joined in one message.
func (s *Socket) Send(frames ...string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(strings.Join(frames, "\n"))); err != nil {
		s.t.Fatalf("send to the client: %v", err)
	}
}

// Greet takes hello and answers with a welcome to client "web", with 3 outcomes waiting
// and 1 missed.
func (s *Socket) Greet(session string) push.ClientFrame {
	s.t.Helper()
	hello := s.Read()
	if hello.Type != push.TypeHello {
		s.t.Fatalf("the client's first frame is %q, not hello", hello.Type)
	}
	s.Send(Frame(push.TypeWelcome, push.Welcome{
		Session: session, Client: "web", Window: 64, Ping: 25, Waiting: 3, Missed: 1, Reconnect: 60,
	}))
	return hello
}

// Close sends a close code.
func (s *Socket) Close(code push.CloseCode) {
	message := websocket.FormatCloseMessage(int(code), code.Reason())
	// A client that is gone needs no code.
	_ = s.conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(Patience))
}

// Cut ends the connection without a word.
func (s *Socket) Cut() { _ = s.conn.Close() } // it may be closed already

// Frame writes a server's frame.
func Frame(kind string, fields any) string { return string(push.Encode(kind, fields)) }

// Outcome is the frame of a live outcome of method echo on device lamp-1. id is JSON, and
// answer is the response's "result":... or "error":...; with the latter's origin.
func Outcome(seq uint64, id, commandID, origin, answer string) string {
	o := push.Outcome{
		Seq: seq, ID: []byte(id), CommandID: commandID, Device: "lamp-1", Method: "echo",
		At: time.Unix(1_700_000_000, 0), Origin: origin, Source: push.SourceLive,
		Response: []byte(`{"jsonrpc":"2.0","id":` + id + `,` + answer + `}`),
	}
	return string(o.Append(nil))
}
