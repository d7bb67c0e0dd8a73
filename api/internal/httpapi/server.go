package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/chassis/doorway"
	"github.com/cupline/cupline/chassis/limits"
	"github.com/cupline/cupline/chassis/peer"
	"github.com/cupline/cupline/chassis/tracing"
	"github.com/cupline/cupline/console"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/credential"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/drain"
	"github.com/cupline/cupline/store/erasure"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/mailbox"
	"github.com/cupline/cupline/store/registry"
	"github.com/cupline/cupline/store/retention"
)

// Config of a Server. Everything without a default is required.
type Config struct {
	// Addr is host:port; port 0 picks a free one.
	Addr string
	// TLS of the port; plain HTTP when nil.
	TLS *tls.Config
	// Door bounds the connections that are open; nil bounds none.
	Door     *doorway.Doorway
	Verifier auth.Verifier
	Acceptor Acceptor
	Clock    intake.Clock

	Registry    *registry.Store
	Keys        *identity.Store
	Credentials *credential.Store
	Ledger      *ledger.Reader
	Mailbox     *mailbox.Store
	Arrivals    *mailbox.Arrivals
	Trail       *audit.Trail
	Letters     *deadletter.Store
	Desk        *ops.Desk
	// Retention and Erasures are what is kept for how long, and what is erased on request.
	Retention *retention.Store
	Erasures  *erasure.Store
	// LoopGuard is how many redrives of a letter's command may have died before the letter is held.
	LoopGuard int
	Queues    *ops.Queues
	Drains    *drain.Store
	Settler   *ops.Settler
	Clients   *ops.Clients
	// Console is served below console.Prefix; none when nil.
	Console http.Handler

	// Origins of web pages that may call the API (CORS); none by default.
	Origins []string
	// Polls is the most long polls held at once; past it they get 503. Default 10,000.
	Polls int
	// KeyRate limits each key's requests, Failures the failed log-ins of each address; nil limits nothing.
	KeyRate, Failures *limits.Buckets
	// Logins takes note of failed log-ins; may be nil.
	Logins Logins
	// Proxies are the networks whose X-Forwarded-For is believed; none by default.
	Proxies peer.Proxies
	// AccessLog logs a line for each request.
	AccessLog bool
	Timeouts  Timeouts
	Metrics   *Metrics
	// Tracer of posts; nil is off.
	Tracer *tracing.Tracer
	Log    *zap.Logger
	// Failed is told when the server dies while it runs.
	Failed func(error)
}

// Timeouts against peers that are slow on purpose. Zero values mean the defaults.
type Timeouts struct {
	// Header bounds the reading of a request's header. Default 5 s.
	Header time.Duration
	// Read bounds the reading of a whole request. Default 15 s.
	Read time.Duration
	// Write bounds a request from its header's end to its answer's, long polls excepted. Default 30 s.
	Write time.Duration
	// Idle is how long a connection is kept for another request. Default 2 min.
	Idle time.Duration
}

const (
	defaultPolls   = 10_000
	maxHeaderBytes = 16 << 10
	corsMaxAge     = 600 // seconds
)

func (t Timeouts) withDefaults() Timeouts {
	if t.Header <= 0 {
		t.Header = 5 * time.Second
	}
	if t.Read <= 0 {
		t.Read = 15 * time.Second
	}
	if t.Write <= 0 {
		t.Write = 30 * time.Second
	}
	if t.Idle <= 0 {
		t.Idle = 2 * time.Minute
	}
	return t
}

// Server is the public port.
type Server struct {
	cfg      Config
	echo     *echo.Echo
	http     *http.Server
	polls    gate
	draining chan struct{} // closed when Stop begins
	done     chan struct{} // closed when serving has ended

	mu   sync.Mutex // guards addr
	addr string
}

// New makes a server; Start listens.
func New(cfg Config) *Server {
	if cfg.Polls <= 0 {
		cfg.Polls = defaultPolls
	}
	t := cfg.Timeouts.withDefaults()
	s := &Server{cfg: cfg, echo: echo.New(), draining: make(chan struct{}), done: make(chan struct{})}
	s.polls.limit = int64(cfg.Polls)
	s.echo.HTTPErrorHandler = s.fail
	s.echo.IPExtractor = cfg.Proxies.Address
	s.echo.Use(s.observe, s.recover, s.room)
	if len(cfg.Origins) > 0 { // without it Echo would allow all
		s.echo.Use(middleware.CORSWithConfig(middleware.CORSConfig{
			AllowOrigins:  cfg.Origins,
			AllowMethods:  []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete},
			AllowHeaders:  []string{echo.HeaderAuthorization, echo.HeaderContentType, ttlHeader, "traceparent", "tracestate"},
			ExposeHeaders: []string{echo.HeaderRetryAfter, echo.HeaderWWWAuthenticate},
			MaxAge:        corsMaxAge,
		}))
	}
	for _, r := range routes() {
		s.echo.Add(r.method, r.path, s.guarded(r))
	}
	if cfg.Console != nil {
		for _, path := range []string{console.Prefix, console.Prefix + "/*"} {
			s.echo.Match([]string{http.MethodGet, http.MethodHead}, path, echo.WrapHandler(cfg.Console))
		}
	}
	s.http = &http.Server{
		Handler: s.echo, ConnContext: doorway.Context, MaxHeaderBytes: maxHeaderBytes, ErrorLog: zap.NewStdLog(cfg.Log),
		ReadHeaderTimeout: t.Header, ReadTimeout: t.Read, WriteTimeout: t.Write, IdleTimeout: t.Idle,
	}
	return s
}

// Start listens, and serves in the background until Stop.
func (s *Server) Start(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		close(s.done)
		return fmt.Errorf("listen on the public port: %w", err)
	}
	s.mu.Lock()
	s.addr = listener.Addr().String()
	s.mu.Unlock()
	if s.cfg.Door != nil {
		listener = s.cfg.Door.Listen(listener)
	}
	go func() {
		defer close(s.done)
		err := s.serve(listener)
		if !errors.Is(err, http.ErrServerClosed) && s.cfg.Failed != nil {
			s.cfg.Failed(fmt.Errorf("public port: %w", err))
		}
	}()
	return nil
}

// serve speaks HTTPS, HTTP/2 included, or plain HTTP.
func (s *Server) serve(listener net.Listener) error {
	if s.cfg.TLS == nil {
		return s.http.Serve(listener)
	}
	s.http.TLSConfig = s.cfg.TLS
	return s.http.ServeTLS(listener, "", "")
}

// Stop takes no further connection, answers long polls at once, lets other requests
// finish within ctx, and ends. It may be called once.
func (s *Server) Stop(ctx context.Context) error {
	close(s.draining)
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("finish the requests under way: %w", err), s.http.Close())
	}
	if s.Addr() != "" {
		<-s.done
	}
	return err
}

// Addr is host:port once started, else empty.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// gate lets at most limit in at a time.
type gate struct {
	limit  int64
	inside atomic.Int64
}

func (g *gate) enter() bool {
	if g.inside.Add(1) > g.limit {
		g.inside.Add(-1)
		return false
	}
	return true
}

func (g *gate) leave() { g.inside.Add(-1) }
