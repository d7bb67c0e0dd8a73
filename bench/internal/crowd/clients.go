package crowd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/cupline/cupline/schema/push"
)

const (
	dialLimit    = 15 * time.Second
	welcomeLimit = 60 * time.Second
	writeLimit   = 10 * time.Second
	// firstPause and lastPause are what a client that lost its connection waits for, doubling, each time a random part.
	firstPause, lastPause = 500 * time.Millisecond, 4 * time.Second
	// ackPart is the part of its window that a client acks at once, as the project's own clients do.
	ackPart = 4
)

// clients is a crowd within its own program.
type clients struct {
	orders   Orders
	dialer   websocket.Dialer
	dialling chan struct{}
	serving  sync.WaitGroup

	mu      sync.Mutex // guards the rest
	news    News
	changed bool
	seen    map[int64]struct{}
	due     map[time.Duration][]*client // by pause: who has something to ack
}

// client is one of them.
type client struct {
	all   *clients
	token string
	slow  bool

	mu      sync.Mutex // guards the rest
	conn    *websocket.Conn
	last    uint64
	unacked int  // outcomes since the last ack
	waiting bool // is in due
}

func newClients(orders Orders) *clients {
	all := &clients{
		orders: orders, dialling: make(chan struct{}, orders.Dialling), seen: map[int64]struct{}{}, due: map[time.Duration][]*client{},
	}
	all.news.Latencies = map[int]int64{}
	source := &net.Dialer{Timeout: dialLimit, LocalAddr: &net.TCPAddr{IP: net.ParseIP(orders.Source)}}
	all.dialer = websocket.Dialer{
		NetDialContext: source.DialContext, HandshakeTimeout: dialLimit, Subprotocols: []string{push.Subprotocol},
		ReadBufferSize: 1024, WriteBufferSize: 256, WriteBufferPool: &sync.Pool{},
	}
	return all
}

// run has one client listen, on one connection after the other, until ctx ends.
func (c *client) run(ctx context.Context, turn int) {
	pause := firstPause
	for ctx.Err() == nil {
		err := c.listen(ctx, c.all.orders.Targets[turn%len(c.all.orders.Targets)], func() { pause = firstPause })
		if ctx.Err() != nil {
			return
		}
		c.all.lost(err)
		turn++
		timer := time.NewTimer(rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, lastPause)
	}
}

// listen connects and takes what comes until the connection ends.
func (c *client) listen(ctx context.Context, target string, online func()) error {
	conn, more, err := c.connect(ctx, target)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c.mu.Lock()
	c.conn, c.last, c.unacked = conn, 0, 0
	c.mu.Unlock()
	online()
	c.all.change(func(n *News) { n.Online++ })
	defer c.all.change(func(n *News) { n.Online-- })
	if err := c.take(more); err != nil {
		return err
	}
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		if err := c.take(message); err != nil {
			return err
		}
	}
}

// connect returns when outcomes can come, with what came along with the welcome; so many at once do it as the orders say.
func (c *client) connect(ctx context.Context, target string) (conn *websocket.Conn, more []byte, err error) {
	select {
	case c.all.dialling <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	defer func() { <-c.all.dialling }()
	//nolint:bodyclose // the body of a refused handshake is in memory, that of another is the connection
	conn, _, err = c.all.dialer.DialContext(ctx, target, http.Header{"Authorization": {"Bearer " + c.token}})
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	if more, err = greet(conn, c.all.orders.Window); err != nil {
		_ = conn.Close() // of no use
		return nil, nil, fmt.Errorf("greet: %w", err)
	}
	return conn, more, nil
}

// greet returns what came in one message with the welcome: outcomes that waited.
func greet(conn *websocket.Conn, window int) (more []byte, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(welcomeLimit)); err != nil {
		return nil, err
	}
	if err := conn.WriteMessage(websocket.TextMessage, push.ClientFrame{Type: push.TypeHello, Window: window}.Line()); err != nil {
		return nil, err
	}
	_, message, err := conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	welcome, more, _ := bytes.Cut(message, []byte{'\n'})
	var first struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(welcome, &first); err != nil || first.Type != push.TypeWelcome {
		return nil, fmt.Errorf("it says %.200q instead of welcome", message)
	}
	return more, conn.SetReadDeadline(time.Time{})
}
