package janitor

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of a Janitor.
type Metrics struct {
	removed *prometheus.CounterVec
	expired prometheus.Counter
	working prometheus.Gauge
	passed  prometheus.Gauge
}

// NewMetrics registers the janitor's collectors.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cupline_janitor_removed_total", Help: "Rows removed, or emptied, by what they were."}, []string{"what"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cupline_mailbox_expired_total", Help: "Outcomes deleted from mailboxes because nobody fetched them in time."}),
		working: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_janitor_working", Help: "1 in the process whose janitor works, 0 in the others."}),
		passed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_janitor_passed_timestamp_seconds", Help: "When this process last looked after everybody's retention."}),
	}
	return m, errors.Join(registerer.Register(m.removed), registerer.Register(m.expired), registerer.Register(m.working), registerer.Register(m.passed))
}
