package dispatch

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/schema/jsonrpc"
)

// Metrics of an Engine. No label ever holds the name of a tenant, client or device.
type Metrics struct {
	queueWait *prometheus.HistogramVec
	execution *prometheus.HistogramVec
	executing *prometheus.GaugeVec
	held      prometheus.Gauge
	conflicts *prometheus.CounterVec
	failures  *prometheus.CounterVec
}

// NewMetrics registers the engine's collectors.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		queueWait: prometheus.NewHistogramVec(telemetry.Seconds("cupline_queue_wait_seconds",
			"Time from a command's acceptance to its claim, in database time."), []string{"lane"}),
		execution: prometheus.NewHistogramVec(telemetry.Seconds("cupline_execution_seconds",
			"Time from handing a command to its driver to the device's answer, or to the failure."), []string{"lane", "driver", "outcome"}),
		executing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "cupline_executing", Help: "Commands with their drivers now."}, []string{"lane"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_held", Help: "Commands that wait, without a slot, for another worker's end, or for room among their tenant's."}),
		conflicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cupline_ledger_conflicts_total", Help: "Claims that met a row, by what that led to."}, []string{"kind"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cupline_driver_failures_total", Help: "Calls that ended without the device's answer."}, []string{"driver", "reason"}),
	}
	err := errors.Join(
		registerer.Register(m.queueWait), registerer.Register(m.execution), registerer.Register(m.executing),
		registerer.Register(m.held), registerer.Register(m.conflicts), registerer.Register(m.failures),
	)
	return m, err
}

func (m *Metrics) waited(c *Command, started time.Time) {
	telemetry.Observe(m.queueWait.WithLabelValues(c.Lane), max(started.Sub(c.Accepted), 0), c.Trace.Parent)
}

// executed notes one call of a driver.
func (m *Metrics) executed(c *Command, took time.Duration, answer jsonrpc.Response, err error) {
	word := answered(c, answer)
	if err != nil {
		word = string(failureOf(err).Reason)
	}
	telemetry.Observe(m.execution.WithLabelValues(c.Lane, c.Driver, word), took, c.Trace.Parent)
}
