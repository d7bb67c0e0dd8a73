package ledger

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/telemetry"
)

// Metrics of a Writer.
type Metrics struct {
	size    prometheus.Histogram
	seconds prometheus.Histogram
	refused prometheus.Counter
}

// NewMetrics makes cupline_ledger_batch_size (operations), cupline_ledger_batch_seconds and
// cupline_ledger_refused_total, and registers them; a nil registerer leaves them unregistered.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		size:    prometheus.NewHistogram(telemetry.Sizes("cupline_ledger_batch_size", "Operations in one transaction.")),
		seconds: prometheus.NewHistogram(telemetry.Seconds("cupline_ledger_batch_seconds", "From sending a batch to its commit, connecting included.")),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cupline_ledger_refused_total", Help: "Rows that the database refused for their data.",
		}),
	}
	if registerer != nil {
		registerer.MustRegister(m.size, m.seconds, m.refused)
	}
	return m
}

func (m *Metrics) observe(size int, took time.Duration) {
	m.size.Observe(float64(size))
	m.seconds.Observe(took.Seconds())
}
