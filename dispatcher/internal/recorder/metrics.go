package recorder

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of a Recorder.
type Metrics struct {
	settled *prometheus.CounterVec
	held    prometheus.Gauge
}

// NewMetrics registers the recorder's collectors.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cupline_recorder_settled_total", Help: "Dead letters settled, by what they came to."}, []string{"reason"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_recorder_held", Help: "Dead letters that wait for a worker that may still be running."}),
	}
	return m, errors.Join(registerer.Register(m.settled), registerer.Register(m.held))
}
