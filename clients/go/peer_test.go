package cupline_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/push"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// peer is a scripted platform: a test takes its connections and says what they say.
type peer struct {
	t       testing.TB
	server  *httptest.Server
	sockets chan *socket
	// post answers commands; nil answers 202 with the command id "cmd-1".
	post http.HandlerFunc
	// connect, when set, answers in place of the upgrade.
	connect http.HandlerFunc
}

func newPeer(t testing.TB) *peer {
	p := &peer{t: t, sockets: make(chan *socket, 16)}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/connect", p.upgrade)
	mux.HandleFunc("POST /v1/devices/{device}/commands", func(w http.ResponseWriter, r *http.Request) {
		if p.post != nil {
			p.post(w, r)
			return
		}
		accept(w, r, "cmd-1")
	})
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

// accept answers 202 as api does.
func accept(w http.ResponseWriter, r *http.Request, commandID string) {
	var request struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"id":%s,"command_id":%q,"expires_at":"2030-01-01T00:00:00Z"}`, request.ID, commandID)
}

func (p *peer) upgrade(w http.ResponseWriter, r *http.Request) {
	if p.connect != nil {
		p.connect(w, r)
		return
	}
	upgrader := websocket.Upgrader{Subprotocols: []string{push.Subprotocol}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	p.sockets <- &socket{t: p.t, conn: conn, authorization: r.Header.Get("Authorization")}
}

func (p *peer) client(t testing.TB) *cupline.Client {
	t.Helper()
	c, err := cupline.New(cupline.Config{URL: p.server.URL, PushURL: p.server.URL, Key: "k", Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// listen starts a listener with quick waits that closes with the test.
func (p *peer) listen(t testing.TB, cfg cupline.ListenConfig) *cupline.Listener {
	t.Helper()
	if cfg.MinWait == 0 {
		cfg.MinWait, cfg.MaxWait = time.Millisecond, 5*time.Millisecond
	}
	l, err := p.client(t).Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// next is the client's next connection.
func (p *peer) next() *socket {
	p.t.Helper()
	select {
	case s := <-p.sockets:
		p.t.Cleanup(func() { _ = s.conn.Close() })
		return s
	case <-time.After(patience):
		p.t.Fatal("the client did not connect")
		return nil
	}
}

// socket is one connection, seen from the platform.
type socket struct {
	t             testing.TB
	conn          *websocket.Conn
	authorization string
}

// read is the client's next frame.
func (s *socket) read() push.ClientFrame {
	s.t.Helper()
	f, err := s.tryRead()
	if err != nil {
		s.t.Fatalf("read from the client: %v", err)
	}
	return f
}

func (s *socket) tryRead() (push.ClientFrame, error) {
	var f push.ClientFrame
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	_, message, err := s.conn.ReadMessage()
	if err == nil {
		err = json.Unmarshal(message, &f)
	}
	return f, err
}

func (s *socket) send(lines ...string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(strings.Join(lines, "\n"))); err != nil {
		s.t.Fatalf("send to the client: %v", err)
	}
}

// greet takes hello and answers with welcome.
func (s *socket) greet(session string) push.ClientFrame {
	s.t.Helper()
	hello := s.read()
	if hello.Type != push.TypeHello {
		s.t.Fatalf("the client's first frame is %q, not hello", hello.Type)
	}
	s.send(string(push.Encode(push.TypeWelcome, push.Welcome{
		Session: session, Client: "web", Window: 64, Ping: 25, Waiting: 3, Missed: 1, Reconnect: 60,
	})))
	return hello
}

func (s *socket) close(code push.CloseCode) {
	message := websocket.FormatCloseMessage(int(code), code.Reason())
	_ = s.conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(patience))
}

// outcomeFrame is a device's result under the given ids.
func outcomeFrame(seq uint64, id, commandID string) string {
	o := push.Outcome{
		Seq: seq, ID: []byte(id), CommandID: commandID, Device: "lamp-1", Method: "echo",
		At: time.Unix(1_700_000_000, 0), Origin: "device", Source: push.SourceLive,
		Response: []byte(`{"jsonrpc":"2.0","id":` + id + `,"result":{"n":1}}`),
	}
	return string(o.Append(nil))
}

func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

// until waits for a status.
func until(t testing.TB, l *cupline.Listener, what string, holds func(cupline.Status) bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		changed := l.Changed()
		if holds(l.Status()) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s: the status stays %+v", what, l.Status())
		}
	}
}
