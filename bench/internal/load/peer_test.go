package load

import (
	"bytes"
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

// peer plays intake and pusher for the load: it answers each request as its script says.
type peer struct {
	t      *testing.T
	server *httptest.Server
	script func(p *peer, client string, ids []int64, w http.ResponseWriter)

	mu      sync.Mutex // guards the rest
	sockets map[string]*session
	closed  sync.WaitGroup
}

// session is one client's socket at the peer's side.
type session struct {
	conn    *websocket.Conn
	mu      sync.Mutex
	seq     uint64
	acked   uint64
	acks    int
	saidBye bool
}

func newPeer(t *testing.T, script func(*peer, string, []int64, http.ResponseWriter)) *peer {
	p := &peer{t: t, script: script, sockets: map[string]*session{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/connect", p.connect)
	mux.HandleFunc("POST /v1/devices/{device}/commands", p.accept)
	p.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		p.server.Close()
		p.closed.Wait()
	})
	return p
}

func (p *peer) plan(clients int) Plan {
	plan := Plan{
		API: strings.TrimPrefix(p.server.URL, "http://"), Push: []string{"ws" + strings.TrimPrefix(p.server.URL, "http") + "/v1/connect"},
		Devices: []string{"d-0", "d-1", "d-2"}, Method: "relay.set", Size: 256, Batch: 1, Workers: 4, Window: 64, Limit: 200,
	}
	for i := range clients {
		plan.Clients = append(plan.Clients, &Client{ID: fmt.Sprintf("c-%d", i), Token: fmt.Sprintf("c-%d", i)})
	}
	return plan
}

func (p *peer) connect(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{push.Subprotocol}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		p.t.Error(err)
		return
	}
	s := &session{conn: conn}
	p.closed.Add(1)
	defer p.closed.Done()
	defer conn.Close()
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := push.ParseClient(b, func(f push.ClientFrame) error { return p.take(r, s, f) }); err != nil {
			return
		}
	}
}

func (p *peer) take(r *http.Request, s *session, f push.ClientFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f.Type {
	case push.TypeHello:
		p.mu.Lock()
		p.sockets[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] = s
		p.mu.Unlock()
		return s.conn.WriteMessage(websocket.TextMessage, push.Encode(push.TypeWelcome, push.Welcome{Window: f.Window}))
	case push.TypeAck:
		s.acked, s.acks = f.Seq, s.acks+1
	case push.TypeBye:
		s.saidBye = true
		return fmt.Errorf("bye")
	}
	return nil
}

func (p *peer) accept(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		p.t.Error(err)
	}
	type request struct {
		ID int64 `json:"id"`
	}
	var one request
	var all []request
	if json.Unmarshal(body.Bytes(), &one) == nil {
		all = []request{one}
	} else if err := json.Unmarshal(body.Bytes(), &all); err != nil {
		p.t.Errorf("%s: %v", body.Bytes(), err)
	}
	var ids []int64
	for _, x := range all {
		ids = append(ids, x.ID)
	}
	p.script(p, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ids, w)
}

// push sends outcomes, results of the ids, in one frame.
func (p *peer) push(client string, ids ...int64) {
	var responses []string
	for _, id := range ids {
		responses = append(responses, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{}}`, id))
	}
	p.pushResponses(client, ids, responses)
}

func (p *peer) pushResponses(client string, ids []int64, responses []string) {
	p.mu.Lock()
	s := p.sockets[client]
	p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var b []byte
	for i, id := range ids {
		s.seq++
		o := push.Outcome{Seq: s.seq, ID: fmt.Append(nil, id), At: time.Now(), Source: push.SourceLive, Response: []byte(responses[i])}
		b = append(o.Append(b), '\n')
	}
	// A client that has gone is for the load to find out.
	_ = s.conn.WriteMessage(websocket.TextMessage, b)
}

// acceptAll answers 202 in the form for that many.
func acceptAll(w http.ResponseWriter, ids []int64) {
	w.WriteHeader(http.StatusAccepted)
	if len(ids) == 1 {
		fmt.Fprintf(w, `{"id":%d}`, ids[0])
		return
	}
	items := make([]string, len(ids))
	for i, id := range ids {
		items[i] = fmt.Sprintf(`{"state":"accepted","id":%d}`, id)
	}
	fmt.Fprintf(w, `{"items":[%s]}`, strings.Join(items, ","))
}

// wellBehaved accepts everything and pushes each outcome once, half of them before the answer.
func wellBehaved(p *peer, client string, ids []int64, w http.ResponseWriter) {
	if ids[0]%2 == 0 {
		p.push(client, ids...)
		acceptAll(w, ids)
		return
	}
	acceptAll(w, ids)
	p.push(client, ids...)
}
