package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

const (
	defaultCheckLimit = 2 * time.Second
	headerLimit       = 5 * time.Second
	answerLimit       = 30 * time.Second
)

// ServerConfig of the internal port. Addr and Registry are required.
type ServerConfig struct {
	// Addr is host:port; port 0 picks a free one. It is for operators and probes, not for
	// the world: it asks for no credentials.
	Addr     string
	Registry *Registry
	// Level is what /loglevel shows (GET) and changes (PUT {"level":"debug"}).
	Level zap.AtomicLevel
	Log   *zap.Logger
	// Profiles adds Go's profiles below /debug/pprof/. They cost CPU while one is taken, and whoever
	// reaches the port may ask for them.
	Profiles bool
	// CheckLimit bounds each readiness check. Default 2 s.
	CheckLimit time.Duration
	// Failed is told when the server dies while it runs; may be nil.
	Failed func(error)
}

// Server is the internal port: /healthz (the process answers), /readyz (every check
// passes; 503 says which does not), /metrics, /loglevel, and with Profiles /debug/pprof/.
type Server struct {
	cfg    ServerConfig
	server *http.Server
	mux    *http.ServeMux
	done   chan struct{} // closed when serving has ended

	mu       sync.Mutex // guards the rest
	checks   []check
	draining bool
	addr     string
}

type check struct {
	name string
	ask  func(ctx context.Context) error
}

// NewServer makes a server; Start listens.
func NewServer(cfg ServerConfig) *Server {
	if cfg.CheckLimit <= 0 {
		cfg.CheckLimit = defaultCheckLimit
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	s := &Server{cfg: cfg, done: make(chan struct{})}
	mux := http.NewServeMux()
	s.mux = mux
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Registry, promhttp.HandlerOpts{
		Registry: cfg.Registry, EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: answerLimit,
	}))
	if cfg.Level != (zap.AtomicLevel{}) {
		mux.Handle("/loglevel", cfg.Level)
	}
	if cfg.Profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index) // the named ones: heap, goroutine, mutex, ...
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	s.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: headerLimit, ReadTimeout: answerLimit, WriteTimeout: 2 * answerLimit,
		ErrorLog: zap.NewStdLog(cfg.Log),
	}
	return s
}

// Check adds a readiness check; what its error says is what /readyz says. Checks run at the
// same time, each within CheckLimit.
func (s *Server) Check(name string, ask func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, check{name, ask})
}

// Handle adds what else is served on the internal port, by a pattern of http.ServeMux; before Start.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// SetDraining makes /readyz say from now on that the process is going: the first thing at
// SIGTERM, so that nothing new is sent here.
func (s *Server) SetDraining() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// Start listens, and serves in the background until Stop.
func (s *Server) Start(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		close(s.done)
		return fmt.Errorf("listen on the internal port: %w", err)
	}
	s.mu.Lock()
	s.addr = listener.Addr().String()
	s.mu.Unlock()
	go func() {
		defer close(s.done)
		err := s.server.Serve(listener)
		if !errors.Is(err, http.ErrServerClosed) && s.cfg.Failed != nil {
			s.cfg.Failed(fmt.Errorf("internal port: %w", err))
		}
	}()
	return nil
}

// Stop ends the server, requests under way first, within ctx.
func (s *Server) Stop(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
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

func (s *Server) health(w http.ResponseWriter, _ *http.Request) { answer(w, readiness{Status: "ok"}) }

// readiness is the answer of /readyz. Missing maps a check's name to what it says.
type readiness struct {
	Status  string            `json:"status"` // "ok", or "unavailable", or "draining"
	Missing map[string]string `json:"missing,omitempty"`
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	checks, draining := s.checks, s.draining
	s.mu.Unlock()
	if draining {
		answer(w, readiness{Status: "draining"})
		return
	}
	found := make([]error, len(checks))
	var asked sync.WaitGroup
	for i, c := range checks {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(r.Context(), s.cfg.CheckLimit)
			defer cancel()
			found[i] = c.ask(ctx)
		})
	}
	asked.Wait()
	state := readiness{Status: "ok"}
	for i, err := range found {
		if err != nil {
			if state.Missing == nil {
				state = readiness{Status: "unavailable", Missing: make(map[string]string)}
			}
			state.Missing[checks[i].name] = err.Error()
		}
	}
	answer(w, state)
}

func answer(w http.ResponseWriter, state readiness) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if state.Status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(state) // whoever asked is gone
}
