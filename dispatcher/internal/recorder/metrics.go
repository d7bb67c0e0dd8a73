package recorder

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
)

// mostLanes bounds the lanes that metrics tell apart: a dead letter may name any.
const mostLanes = 64

// Metrics of a Recorder.
type Metrics struct {
	settled *prometheus.CounterVec
	held    prometheus.Gauge
	lanes   *telemetry.Words
}

// NewMetrics registers the recorder's collectors.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cupline_recorder_settled_total", Help: "Dead letters settled, by what they came to."}, []string{"reason"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_recorder_held", Help: "Dead letters that wait for a worker that may still be running."}),
		lanes: telemetry.NewWords(mostLanes),
	}
	return m, errors.Join(registerer.Register(m.settled), registerer.Register(m.held))
}

// lane is the label for a command's lane; what names none is "-".
func (m *Metrics) lane(c *dispatch.Command) string {
	if c.Lane == "" {
		return "-"
	}
	return m.lanes.Label(c.Lane)
}
