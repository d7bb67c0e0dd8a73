package postgres

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics collects the figures of pools, told apart by the label pool. They are read from
// the pools when they are asked for; counting costs nothing.
type Metrics struct {
	pools map[string]*Pool

	conns, limit, acquires, waits, waited *prometheus.Desc
}

// NewMetrics makes a collector for these pools by their names, and registers it.
func NewMetrics(r prometheus.Registerer, pools map[string]*Pool) error {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"pool"}, labels...), nil)
	}
	return r.Register(&Metrics{
		pools:    pools,
		conns:    desc("cupline_pool_connections", "Connections to Postgres, by what they do: used, idle or connecting.", "state"),
		limit:    desc("cupline_pool_connections_limit", "Most connections to Postgres."),
		acquires: desc("cupline_pool_acquires_total", "Connections taken from the pool."),
		waits:    desc("cupline_pool_waits_total", "Those of them that had to wait, because none was idle."),
		waited:   desc("cupline_pool_wait_seconds_total", "Time spent on taking connections."),
	})
}

// Describe names the figures.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.conns, m.limit, m.acquires, m.waits, m.waited} {
		to <- d
	}
}

// Collect reads them.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for name, pool := range m.pools {
		m.collect(to, name, pool.Stat())
	}
}

func (m *Metrics) collect(to chan<- prometheus.Metric, name string, s *pgxpool.Stat) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, append([]string{name}, labels...)...)
	}
	send(m.conns, prometheus.GaugeValue, float64(s.AcquiredConns()), "used")
	send(m.conns, prometheus.GaugeValue, float64(s.IdleConns()), "idle")
	send(m.conns, prometheus.GaugeValue, float64(s.ConstructingConns()), "connecting")
	send(m.limit, prometheus.GaugeValue, float64(s.MaxConns()))
	send(m.acquires, prometheus.CounterValue, float64(s.AcquireCount()))
	send(m.waits, prometheus.CounterValue, float64(s.EmptyAcquireCount()))
	send(m.waited, prometheus.CounterValue, s.AcquireDuration().Seconds())
}
