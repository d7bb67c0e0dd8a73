package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/chassis/doorway"
	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// Metrics of the public port and of intake.
type Metrics struct {
	requests *prometheus.HistogramVec
	accepted *prometheus.CounterVec
	refused  *prometheus.CounterVec
	inDoubt  *prometheus.CounterVec
	underWay prometheus.Gauge
	polls    prometheus.Gauge
	fetched  prometheus.Counter
	acked    prometheus.Counter
	redriven *prometheus.CounterVec
	failed   prometheus.Counter
}

// NewMetrics makes and registers cupline_api_request_seconds (route, method, status),
// cupline_commands_accepted_total (tenant, lane), cupline_commands_refused_total (tenant,
// code; a batch refused as a whole counts once), cupline_commands_in_doubt_total (tenant),
// cupline_api_requests_under_way, cupline_api_long_polls, cupline_mailbox_fetched_total,
// cupline_mailbox_acked_total, cupline_commands_redriven_total (tenant, lane) and cupline_api_failed_logins_total.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		requests: prometheus.NewHistogramVec(telemetry.Seconds("cupline_api_request_seconds", "Time from a request's header to its answer, long polls included."), []string{"route", "method", "status"}),
		accepted: counter("cupline_commands_accepted_total", "Commands confirmed by the broker.", "tenant", "lane"),
		refused:  counter("cupline_commands_refused_total", "Commands that were not accepted, by why.", "tenant", "code"),
		inDoubt:  counter("cupline_commands_in_doubt_total", "Commands sent to the broker and never confirmed.", "tenant"),
		underWay: prometheus.NewGauge(prometheus.GaugeOpts{Name: "cupline_api_requests_under_way", Help: "Requests not answered yet, long polls included."}),
		failed:   prometheus.NewCounter(prometheus.CounterOpts{Name: "cupline_api_failed_logins_total", Help: "Requests whose key or token was not good."}),
		polls:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "cupline_api_long_polls", Help: "Long polls of mailboxes that wait."}),
		fetched:  prometheus.NewCounter(prometheus.CounterOpts{Name: "cupline_mailbox_fetched_total", Help: "Outcomes read from mailboxes over HTTP, each time that they were read."}),
		acked:    prometheus.NewCounter(prometheus.CounterOpts{Name: "cupline_mailbox_acked_total", Help: "Outcomes in mailboxes acked over HTTP, each time that it was said."}),
		redriven: counter("cupline_commands_redriven_total", "Redrives of dead letters, noted once the broker had confirmed them.", "tenant", "lane"),
	}
	var problems []error
	for _, c := range []prometheus.Collector{
		m.requests, m.accepted, m.refused, m.inDoubt, m.underWay, m.polls, m.fetched, m.acked, m.redriven, m.failed,
	} {
		problems = append(problems, registerer.Register(c))
	}
	return m, errors.Join(problems...)
}

// Accepted counts a command.
func (m *Metrics) Accepted(tenant, lane string) { m.accepted.WithLabelValues(tenant, lane).Inc() }

// Redriven counts a redrive, a new command that no client has posted.
func (m *Metrics) Redriven(tenant, lane string) { m.redriven.WithLabelValues(tenant, lane).Inc() }

// NotAccepted counts a command, or a batch refused as a whole.
func (m *Metrics) NotAccepted(tenant string, code problem.Code) {
	if code == problem.InDoubt {
		m.inDoubt.WithLabelValues(tenant).Inc()
		return
	}
	m.refused.WithLabelValues(tenant, string(code)).Inc()
}

// observe is the outermost middleware: it measures each request, and has its error told.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		s.cfg.Metrics.underWay.Inc()
		defer s.cfg.Metrics.underWay.Dec()
		header := c.Response().Header()
		header.Set(echo.HeaderCacheControl, "no-store")
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		if err := next(c); err != nil {
			c.Error(err) // writes the answer, so that its status is known here
		}
		took, status, route := time.Since(began), c.Response().Status, c.Path()
		if hungUp(c) {
			status = statusHungUp
		}
		if route == "" {
			route = "none"
		}
		traceParent, _ := c.Get(traceKey).(string)
		telemetry.Observe(s.cfg.Metrics.requests.WithLabelValues(route, method(c.Request().Method), strconv.Itoa(status)), took, traceParent)
		if s.cfg.AccessLog {
			who := principal(c)
			s.cfg.Log.Info("request", zap.String("method", c.Request().Method), zap.String("route", route), zap.Int("status", status),
				zap.Duration("took", took), zap.String("tenant", who.Tenant), zap.String("client", who.Client))
		}
		return nil
	}
}

// statusHungUp is how a request is counted whose client did not wait for the answer, after nginx's word for it.
const statusHungUp = 499

func hungUp(c echo.Context) bool { return errors.Is(c.Request().Context().Err(), context.Canceled) }

// method bounds the label's values: a peer may send any word.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodHead:
		return m
	}
	return "other"
}

// recover turns a panic into an answer that tells nothing of it, and a log line that tells all.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			thrown := recover()
			if thrown == nil {
				return
			}
			if thrown == http.ErrAbortHandler { //nolint:errorlint // net/http compares it in the same way
				panic(thrown)
			}
			s.cfg.Log.Error("panic in a handler", zap.Any("panic", thrown), zap.String("route", c.Path()), zap.ByteString("stack", debug.Stack()))
			err = problem.From(problem.Internal, fmt.Errorf("panic: %v", thrown))
		}()
		return next(c)
	}
}

// room sends a connection away that is one too many: its request is answered, and nothing else is done for it. That is
// not logged: whoever opens connections without end would fill the log, too.
func (s *Server) room(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !doorway.PastBound(c.Request().Context()) {
			return next(c)
		}
		c.Response().Header().Set("Connection", "close")
		return tell(c, describe(problem.New(problem.Overloaded, "too many connections")))
	}
}

// fail is Echo's error handler: it tells every error as a problem, and logs those that are ours.
func (s *Server) fail(err error, c echo.Context) {
	p := asProblem(err)
	s.log(c, p)
	if c.Response().Committed {
		return
	}
	if err := tell(c, describe(p)); err != nil {
		s.cfg.Log.Debug("answer not written", zap.Error(err))
	}
}

// log writes refusals at debug, and what is the platform's own trouble at warn or error.
func (s *Server) log(c echo.Context, p *problem.Problem) {
	level := zapcore.DebugLevel
	switch {
	case hungUp(c): // nobody was told, and nothing may be wrong
	case p.Code == problem.Internal:
		level = zapcore.ErrorLevel
	case kinds[p.Code].status >= http.StatusInternalServerError:
		level = zapcore.WarnLevel
	}
	entry := s.cfg.Log.Check(level, "request not done")
	if entry == nil {
		return
	}
	who := principal(c)
	fields := []zap.Field{
		zap.String("reason", string(p.Code)), zap.String("route", c.Path()), zap.String("tenant", who.Tenant), zap.String("client", who.Client),
		zap.String("device", c.Param("device")), zap.String("lane", p.Lane), zap.ByteString("id", p.ID), zap.String("detail", p.Detail), zap.Error(p.Cause),
		telemetry.TraceID(trace(c.Request().Header).Parent),
	}
	if p.CommandID != uuid.Nil {
		fields = append(fields, zap.Stringer("command_id", p.CommandID))
	}
	entry.Write(fields...)
}

// reportBatch logs what a batch's answer says of single items: one line, with the first of them.
func (s *Server) reportBatch(c echo.Context, results []intake.Result) {
	count := 0
	var first *problem.Problem
	for i := range results {
		if p := results[i].Problem; p != nil {
			if count++; first == nil {
				first = p
			}
		}
	}
	if first == nil {
		return
	}
	who := principal(c)
	s.cfg.Log.Warn("items of a batch not accepted", zap.Int("items", count), zap.Int("of", len(results)),
		zap.String("reason", string(first.Code)), zap.String("tenant", who.Tenant), zap.String("client", who.Client),
		zap.String("device", c.Param("device")), zap.String("lane", first.Lane), zap.ByteString("id", first.ID), zap.Stringer("command_id", first.CommandID), zap.Error(first.Cause),
		telemetry.TraceID(trace(c.Request().Header).Parent))
}

// record writes an action of a tenant's own people into the audit trail. The action itself is done: a trail
// that cannot be written to is logged, not answered.
func (s *Server) record(c echo.Context, who auth.Principal, e audit.Entry) {
	s.recordFor(c, who, who.Tenant, e)
}

// recordFor is record for what was done to a tenant that need not be the actor's own.
func (s *Server) recordFor(c echo.Context, who auth.Principal, tenant string, e audit.Entry) {
	e.Tenant, e.Stage, e.Actor = tenant, audit.StageOperator, who.Actor()
	if tenant != who.Tenant {
		e.Actor += " of tenant " + who.Tenant
	}
	if e.Client == "" {
		e.Client = who.Client
	}
	if err := s.cfg.Trail.Append(store.ForTenant(c.Request().Context(), e.Tenant), e); err != nil {
		s.cfg.Log.Error("not in the audit trail", zap.String("tenant", e.Tenant), zap.String("actor", e.Actor),
			zap.String("action", e.Action), zap.String("device", e.Device), zap.String("detail", e.Detail), zap.Error(err))
	}
}
