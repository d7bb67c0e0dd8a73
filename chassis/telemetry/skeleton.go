// Package telemetry is written in place; these are the signatures that it will have.
package telemetry

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// LogConfig says how to log.
type LogConfig struct {
	Level  string // debug, info (default), warn, error
	Format string // json (default) or console
}

// NewLog makes a logger; its level can be changed while it runs.
func NewLog(w io.Writer, cfg LogConfig) (*zap.Logger, zap.AtomicLevel, error) { panic("soon") }

// NewRegistry has the Go and process collectors.
func NewRegistry() *prometheus.Registry { panic("soon") }

// Seconds is a histogram of durations in seconds with the shared buckets, native histogram too.
func Seconds(name, help string) prometheus.HistogramOpts { panic("soon") }

// Sizes is a histogram of counts (batches, queue lengths).
func Sizes(name, help string) prometheus.HistogramOpts { panic("soon") }

// ServerConfig of the internal port.
type ServerConfig struct {
	Addr       string // host:port; port 0 picks a free one
	Registry   *prometheus.Registry
	Level      zap.AtomicLevel
	Log        *zap.Logger
	CheckLimit time.Duration // default 2 s for each readiness check
}

// Server is the internal port: /healthz, /readyz, /metrics, /loglevel.
type Server struct{}

// NewServer makes a server.
func NewServer(cfg ServerConfig) *Server { panic("soon") }

// Check adds a named readiness check; its error's text is what /readyz says.
func (s *Server) Check(name string, check func(ctx context.Context) error) { panic("soon") }

// SetDraining makes /readyz answer 503 from now on.
func (s *Server) SetDraining() { panic("soon") }

// Start listens.
func (s *Server) Start(ctx context.Context) error { panic("soon") }

// Stop ends it.
func (s *Server) Stop(ctx context.Context) error { panic("soon") }

// Addr is host:port once started.
func (s *Server) Addr() string { panic("soon") }

// TraceHeaders are W3C trace context, carried as they are in message headers.
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
)

// CopyTrace copies the trace context from one message's headers to another's.
func CopyTrace(to, from map[string]any) { panic("soon") }
