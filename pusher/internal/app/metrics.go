package app

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/push"
)

// metrics counts for all packages here; it has no label that names a tenant or client.
type metrics struct {
	now func() time.Time // database time

	sessions  prometheus.Gauge
	limit     prometheus.Gauge
	inFlight  prometheus.Gauge
	bindings  *prometheus.CounterVec
	bindRound prometheus.Histogram
	bindWait  prometheus.Histogram
	pushed    *prometheus.CounterVec
	acked     *prometheus.CounterVec
	lag       *prometheus.CounterVec
	refused   *prometheus.CounterVec
	ended     *prometheus.CounterVec
	mailbox   *prometheus.CounterVec
	forgotten *prometheus.CounterVec
	endToEnd  *prometheus.HistogramVec
	failed    prometheus.Counter
	lanes     *telemetry.Words
}

// mostLanes bounds the lanes that are told apart: garbage may name any.
const mostLanes = 64

func newMetrics(r prometheus.Registerer, now func() time.Time) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		now: now,
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_push_sessions", Help: "Sessions of clients, those that are being bound included.",
		}),
		limit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_push_connections_limit", Help: "Most connections of clients that this process takes.",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_push_in_flight", Help: "Live outcomes taken from the broker and not settled.",
		}),
		bindings:  counter("cupline_push_bindings_total", "Bindings of clients made and undone.", "op"),
		bindRound: prometheus.NewHistogram(telemetry.Seconds("cupline_push_bind_round_seconds", "Time of one round of bindings at the broker.")),
		bindWait:  prometheus.NewHistogram(telemetry.Seconds("cupline_push_bind_wait_seconds", "Time a client waited for its binding.")),
		pushed:    counter("cupline_push_outcomes_total", "Outcomes sent to clients, once for each socket.", "source"),
		acked:     counter("cupline_push_acks_total", "Outcomes acked by clients, once for each socket.", "source"),
		lag:       counter("cupline_push_lag_total", "Sessions that went over to the mailbox.", "cause"),
		refused:   counter("cupline_push_refused_total", "Live outcomes led to the mailbox.", "cause"),
		ended:     counter("cupline_push_closed_total", "Sessions ended, by close code; lost when the socket was.", "code"),
		mailbox:   counter("cupline_mailbox_taken_total", "What became of messages of the mailbox queue.", "fate"),
		forgotten: counter("cupline_push_notes_forgotten_total", "Acks of clients that could not be noted while the database was away.", "in"),
		endToEnd: prometheus.NewHistogramVec(telemetry.Seconds("cupline_push_end_to_end_seconds",
			"Time from the acceptance of a command to the client's ack of its outcome."), []string{"lane", "outcome", "source"}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "cupline_push_failed_logins_total", Help: "Keys, tokens and tickets on sockets that were not good, those that were not looked at for being too many included."}),
		lanes:  telemetry.NewWords(mostLanes),
	}
	var problems []error
	for _, c := range []prometheus.Collector{
		m.sessions, m.limit, m.inFlight, m.bindings, m.bindRound, m.bindWait, m.pushed, m.acked, m.lag, m.refused, m.ended,
		m.mailbox, m.forgotten, m.endToEnd, m.failed,
	} {
		problems = append(problems, r.Register(c))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("register the pusher's metrics: %w", err)
	}
	return m, nil
}

// Pushed counts an outcome sent.
func (m *metrics) Pushed(source string) { m.pushed.WithLabelValues(source).Inc() }

// Acked counts an outcome acked, and how long it took from the start.
func (m *metrics) Acked(it *session.Item, source string) {
	m.acked.WithLabelValues(source).Inc()
	telemetry.Observe(m.endToEnd.WithLabelValues(m.lanes.Label(it.Lane), word(it), source), max(m.now().Sub(it.Accepted), 0), it.Trace)
}

// word for an outcome, of the same closed set as the dispatcher's.
func word(it *session.Item) string {
	switch {
	case it.Outcome.Origin != envelope.OriginDevice && outcome.Reason(it.Reason).Known():
		return it.Reason
	case it.Outcome.Origin != envelope.OriginDevice:
		return telemetry.Other
	case it.Failed:
		return "error"
	}
	return "result"
}

// LagEntered counts a session that went over to the mailbox.
func (m *metrics) LagEntered(cause session.Cause) { m.lag.WithLabelValues(string(cause)).Inc() }

// Ended counts a session's end.
func (m *metrics) Ended(code push.CloseCode) {
	label := "lost"
	if code != 0 {
		label = strconv.Itoa(int(code))
	}
	m.ended.WithLabelValues(label).Inc()
}

// Sessions counts who is there.
func (m *metrics) Sessions(change int) { m.sessions.Add(float64(change)) }

// Bound counts bindings and times their round.
func (m *metrics) Bound(clients int, took time.Duration) {
	m.bindings.WithLabelValues("bind").Add(float64(clients))
	m.bindRound.Observe(took.Seconds())
}

// Unbound counts what was undone.
func (m *metrics) Unbound(clients int) { m.bindings.WithLabelValues("unbind").Add(float64(clients)) }

// BindWaited times a client's wait.
func (m *metrics) BindWaited(d time.Duration) { m.bindWait.Observe(d.Seconds()) }

// Refused counts what went to the mailbox.
func (m *metrics) Refused(cause session.Cause) { m.refused.WithLabelValues(string(cause)).Inc() }

// InFlight counts what is not settled.
func (m *metrics) InFlight(change int) { m.inFlight.Add(float64(change)) }

func (m *metrics) fate(fate string, n int) { m.mailbox.WithLabelValues(fate).Add(float64(n)) }

func (m *metrics) forgot(in string) func(notes int) {
	return func(notes int) { m.forgotten.WithLabelValues(in).Add(float64(notes)) }
}
