// Package socket serves GET /v1/connect: it upgrades to WebSocket, checks the origin, finds
// the credentials, and carries frames between sockets and sessions. It is the only importer of
// the WebSocket library.
//
// An idle connection costs one goroutine with the smallest stack there is, and a read
// buffer of 256 bytes: there is no writer while there is nothing to write, no timer, and
// nothing is left of the HTTP request.
package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/doorway"
	"github.com/cupline/cupline/chassis/peer"
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/schema/push"
)

// Path of the one route.
const Path = "/v1/connect"

const (
	// readBuffer holds an ack many times over; what is longer is read in pieces.
	readBuffer = 256
	// writeBuffer is borrowed from a pool while something is written.
	writeBuffer = 4 << 10
	maxHeader   = 16 << 10
	idleLimit   = 30 * time.Second
)

// Config of a server. All fields are required, but Origins, Door, Proxies and Failed.
type Config struct {
	// Addr is host:port; port 0 picks a free one.
	Addr string
	// TLS of the port, without HTTP/2, which knows no upgrade; plain when nil. A connection with TLS costs a goroutine with
	// a larger stack while it is idle: what waits in the library cannot be seen from outside.
	TLS *tls.Config
	// Origins are what browsers' pages may come from, "https://app.example.com", besides
	// the host that they connect to; "*" allows all. Clients that send no origin are not browsers.
	Origins []string
	// MaxConnections at once, those that have not said hello included.
	MaxConnections int
	// Door bounds all connections, those that are no sockets yet included; nil bounds none.
	Door *doorway.Doorway
	// Proxies are the networks whose X-Forwarded-For is believed; none by default.
	Proxies peer.Proxies
	// HeaderLimit bounds the reading of a request's head, WriteLimit one write to a socket,
	// and CloseLimit the wait for the other side's part of closing.
	HeaderLimit, WriteLimit, CloseLimit time.Duration
	// QueueBytes is the most that may wait to be written to one socket, a single frame
	// of any size aside. Past it the client is not reading, and is disconnected.
	QueueBytes int
	Session    *session.Config
	Log        *zap.Logger
	// Failed is told when the listener dies while it serves; may be nil.
	Failed func(error)
}

// Server accepts connections and owns them.
type Server struct {
	cfg      Config
	upgrader websocket.Upgrader
	http     *http.Server
	served   chan struct{} // closed when the listener has ended
	work     sync.WaitGroup
	cancel   context.CancelFunc

	mu      sync.Mutex // guards the rest
	addr    string
	closing bool
	conns   map[*conn]struct{}
}

// New makes a server; Start listens.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, served: make(chan struct{}), conns: map[*conn]struct{}{}, cancel: func() {}}
	s.upgrader = websocket.Upgrader{
		HandshakeTimeout: cfg.WriteLimit,
		ReadBufferSize:   readBuffer,
		WriteBufferSize:  writeBuffer,
		WriteBufferPool:  &sync.Pool{},
		Subprotocols:     []string{push.Subprotocol},
		CheckOrigin:      s.allowed,
		Error:            refuse,
	}
	s.http = &http.Server{
		ReadHeaderTimeout: cfg.HeaderLimit, ReadTimeout: cfg.HeaderLimit, IdleTimeout: idleLimit,
		MaxHeaderBytes: maxHeader, ErrorLog: zap.NewStdLog(cfg.Log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))),
	}
	return s
}

// Start listens, and serves in the background until Close.
func (s *Server) Start(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		close(s.served)
		return fmt.Errorf("listen for clients: %w", err)
	}
	// Connections outlive the start, and the requests they came with.
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) { s.connect(ctx, w, r) })
	s.http.Handler = routes
	s.mu.Lock()
	s.addr = listener.Addr().String()
	s.mu.Unlock()
	if s.cfg.Door != nil {
		listener = s.cfg.Door.Listen(listener)
	}
	accepting := net.Listener(lines{listener})
	if s.cfg.TLS != nil {
		accepting = tls.NewListener(listener, s.cfg.TLS)
	}
	go func() {
		defer close(s.served)
		err := s.http.Serve(accepting)
		if !errors.Is(err, http.ErrServerClosed) && s.cfg.Failed != nil {
			s.cfg.Failed(fmt.Errorf("listener for clients: %w", err))
		}
	}()
	return nil
}

// Addr is host:port once started, else empty.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Close takes no more connections; those that are there go on.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.served
	return err
}

// Stop closes every connection that is left, politely while ctx lasts, and returns when all
// are gone. Close comes first.
func (s *Server) Stop(ctx context.Context) error {
	for _, c := range s.all() {
		c.session.End(push.Drained)
	}
	gone := make(chan struct{})
	go func() {
		s.work.Wait()
		close(gone)
	}()
	defer s.cancel()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	s.cancel() // ends what waits for database or broker
	for _, c := range s.all() {
		c.kill()
	}
	<-gone
	return nil
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// connect upgrades one request. It returns at once, so that nothing of the request stays.
func (s *Server) connect(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if s.isClosing() {
		w.Header().Set("Retry-After", "1")
		refuse(w, r, http.StatusServiceUnavailable, errors.New("this pusher is draining"))
		return
	}
	offered := websocket.Subprotocols(r)
	if len(offered) > 0 && !slices.Contains(offered, push.Subprotocol) {
		refuse(w, r, http.StatusBadRequest, errors.New("none of the subprotocols offered is "+push.Subprotocol))
		return
	}
	caller := session.Caller{Token: credentials(r, offered), Address: s.cfg.Proxies.Address(r)}
	ws, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.cfg.Log.Debug("not upgraded", zap.Error(err))
		return
	}
	c := &conn{server: s, ws: ws}
	c.line, _ = ws.NetConn().(*line)
	if c.line != nil {
		c.out = c.line.in.Load()
	}
	ws.SetPingHandler(c.pinged)
	if code, ok := s.admit(c, caller); !ok {
		// A browser sees no HTTP status, so the advice comes as a close code.
		c.turnAway(code)
		return
	}
	go c.idle(ctx)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// admit takes a connection in, and counts its reader as work. Otherwise it says with which
// code to turn it away: a server that began to close while the connection was upgraded
// sends it elsewhere at once, a full one tells it to back off.
func (s *Server) admit(c *conn, caller session.Caller) (push.CloseCode, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return push.Drained, false
	case len(s.conns) >= s.cfg.MaxConnections:
		return push.TooManyConnections, false
	}
	c.session = session.New(s.cfg.Session, c, caller)
	s.conns[c] = struct{}{}
	s.work.Add(1)
	return 0, true
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}
