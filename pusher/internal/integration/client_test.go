package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/schema/push"
)

// frame is any server frame.
type frame struct {
	Type      string
	Session   string
	Client    string
	Window    int
	Ping      int
	Waiting   int64
	Missed    int64
	Reconnect int
	On        bool
	In        int64
	Code      string
	Message   string
	Temporary bool

	Seq       uint64
	ID        json.RawMessage
	CommandID string `json:"command_id"`
	Redrive   int
	Device    string
	Method    string
	At        time.Time
	Origin    string
	Source    string
	Response  json.RawMessage
}

// client is one socket.
type client struct {
	ws      *websocket.Conn
	frames  chan frame
	closed  chan int // the close code, or 0 when the line broke
	welcome frame
}

// patience bounds every wait of a client.
const patience = time.Minute

// dial opens a socket; hello is not said yet.
func (p *pusher) dial(t testing.TB, header http.Header, subprotocols ...string) *client {
	t.Helper()
	if len(subprotocols) == 0 {
		subprotocols = []string{push.Subprotocol}
	}
	dialer := websocket.Dialer{Subprotocols: subprotocols, HandshakeTimeout: patience}
	return p.dialURL(t, dialer, "/v1/connect", header)
}

func (p *pusher) dialURL(t testing.TB, dialer websocket.Dialer, path string, header http.Header) *client {
	t.Helper()
	ws, response, err := dialer.DialContext(t.Context(), "ws://"+p.Addr()+path, header)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, response)
	}
	c := &client{ws: ws, frames: make(chan frame, 4096), closed: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.closed <- c.read()
		close(c.frames)
	}()
	t.Cleanup(func() {
		_ = ws.Close()
		<-done
	})
	return c
}

func (c *client) read() int {
	for {
		_, message, err := c.ws.ReadMessage()
		if err != nil {
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				return closed.Code
			}
			return 0
		}
		for line := range bytes.SplitSeq(message, []byte("\n")) {
			var f frame
			if err := json.Unmarshal(line, &f); err != nil {
				return -1
			}
			c.frames <- f
		}
	}
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// connect opens a session.
func (p *pusher) connect(t testing.TB, token string, hello ...push.ClientFrame) *client {
	t.Helper()
	c := p.dial(t, bearer(token))
	f := push.ClientFrame{}
	if len(hello) > 0 {
		f = hello[0]
	}
	f.Type = push.TypeHello
	c.send(t, f)
	c.welcome = c.next(t)
	if c.welcome.Type != push.TypeWelcome {
		t.Fatalf("got %+v, want welcome", c.welcome)
	}
	return c
}

// letIn tries to open a session, and reports whether it was welcomed: room that somebody had is free some time after he
// was told that his socket is closed.
func (p *pusher) letIn(t testing.TB, token string) bool {
	t.Helper()
	c := p.dial(t, bearer(token))
	_ = c.ws.WriteMessage(websocket.TextMessage, push.ClientFrame{Type: push.TypeHello}.Line()) // one that is turned away at once is closed by now
	select {
	case f, open := <-c.frames:
		return open && f.Type == push.TypeWelcome
	case <-time.After(patience):
		return false
	}
}

func (c *client) send(t testing.TB, f push.ClientFrame) {
	t.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, f.Line()); err != nil {
		t.Fatalf("send %s: %v", f.Type, err)
	}
}

func (c *client) ack(t testing.TB, seq uint64) {
	t.Helper()
	c.send(t, push.ClientFrame{Type: push.TypeAck, Seq: seq})
}

// next frame, but pings.
func (c *client) next(t testing.TB) frame {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case f, ok := <-c.frames:
			if !ok {
				t.Fatalf("closed with %d while a frame was waited for", <-c.closed)
			}
			if f.Type != push.TypePing {
				return f
			}
		case <-timeout:
			t.Fatal("no frame came")
		}
	}
}

// outcome is the next one; other frames are skipped.
func (c *client) outcome(t testing.TB) frame {
	t.Helper()
	for {
		if f := c.next(t); f.Type == push.TypeOutcome {
			return f
		}
	}
}

// expect takes the next outcome, which has to be that one, and acks it.
func (c *client) expect(t testing.TB, commandID string) frame {
	t.Helper()
	f := c.outcome(t)
	if f.CommandID != commandID {
		t.Fatalf("got %+v, want %s", f, commandID)
	}
	c.ack(t, f.Seq)
	return f
}

// outcomes takes n of them, acks each, and returns their command ids, repeats left out.
func (c *client) outcomes(t testing.TB, n int) map[string]frame {
	t.Helper()
	got := map[string]frame{}
	for len(got) < n {
		f := c.outcome(t)
		got[f.CommandID] = f
		c.ack(t, f.Seq)
	}
	return got
}

// quiet fails when anything but pings comes within that time.
func (c *client) quiet(t testing.TB, d time.Duration) {
	t.Helper()
	timeout := time.After(d)
	for {
		select {
		case f, ok := <-c.frames:
			if ok && f.Type != push.TypePing {
				t.Fatalf("got %+v, want nothing", f)
			}
			if !ok {
				t.Fatalf("closed with %d", <-c.closed)
			}
		case <-timeout:
			return
		}
	}
}

func (c *client) closesWith(t testing.TB, code push.CloseCode) {
	t.Helper()
	select {
	case got := <-c.closed:
		c.closed <- got
		if got != int(code) {
			t.Fatalf("closed with %d, want %d", got, code)
		}
	case <-time.After(patience):
		t.Fatalf("not closed, want %d", code)
	}
}

// vanish breaks the line without a word.
func (c *client) vanish() { _ = c.ws.NetConn().Close() }
