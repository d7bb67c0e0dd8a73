package broker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the Prometheus collectors of every link of a process, told apart by the label
// link. Its methods do nothing on nil.
type Metrics struct {
	up, isBlocked                   *prometheus.GaugeVec
	connects, blockedSeconds        *prometheus.CounterVec
	publishes, settled, settlements *prometheus.CounterVec
	publishSeconds                  *prometheus.HistogramVec
	mu                              sync.Mutex // guards blockedSince
	blockedSince                    map[string]time.Time
}

// NewMetrics makes the collectors and registers them; the error says which one is taken.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"link"})
	}
	m := &Metrics{
		up:             gauge("cupline_broker_link_up", "1 while the link to the broker is up."),
		isBlocked:      gauge("cupline_broker_link_blocked", "1 while the broker takes no publishes because of an alarm."),
		connects:       counter("cupline_broker_connects_total", "Times that the link came up.", "link"),
		blockedSeconds: counter("cupline_broker_blocked_seconds_total", "Seconds blocked by an alarm, added when it ends.", "link"),
		publishes:      counter("cupline_broker_publishes_total", "Publishes by result.", "link", "result"),
		settled:        counter("cupline_broker_settled_total", "Deliveries settled, by verdict.", "link", "verdict"),
		settlements:    counter("cupline_broker_settle_frames_total", "Frames sent to settle deliveries; acks are gathered.", "link"),
		publishSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cupline_broker_publish_seconds", Help: "From Publish to the broker's confirm.",
			Buckets:                     prometheus.ExponentialBuckets(0.0005, 2, 14),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"link"}),
		blockedSince: make(map[string]time.Time),
	}
	for _, c := range []prometheus.Collector{
		m.up, m.isBlocked, m.connects, m.blockedSeconds, m.publishes, m.settled, m.settlements, m.publishSeconds,
	} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register the broker's metrics: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) connected(link string) {
	if m == nil {
		return
	}
	m.up.WithLabelValues(link).Set(1)
	m.connects.WithLabelValues(link).Inc()
}

func (m *Metrics) disconnected(link string) {
	if m != nil {
		m.up.WithLabelValues(link).Set(0)
	}
}

// blocked notes that an alarm began or ended; saying the same twice changes nothing.
func (m *Metrics) blocked(link string, on bool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	since, was := m.blockedSince[link]
	switch {
	case on && !was:
		m.blockedSince[link] = time.Now()
		m.isBlocked.WithLabelValues(link).Set(1)
	case !on && was:
		delete(m.blockedSince, link)
		m.isBlocked.WithLabelValues(link).Set(0)
		m.blockedSeconds.WithLabelValues(link).Add(time.Since(since).Seconds())
	}
}

// results are the closed set of words for what became of a publish.
var results = []struct {
	err  error
	word string
}{
	{ErrUnroutable, "unroutable"},
	{ErrRefused, "refused"},
	{ErrInDoubt, "in_doubt"},
	{ErrBlocked, "blocked"},
	{ErrInvalid, "invalid"},
	{ErrUnavailable, "unavailable"},
	{ErrClosed, "unavailable"},
}

func (m *Metrics) published(link string, began time.Time, err error) {
	if m == nil {
		return
	}
	if err == nil {
		m.publishes.WithLabelValues(link, "confirmed").Inc()
		m.publishSeconds.WithLabelValues(link).Observe(time.Since(began).Seconds())
		return
	}
	for _, result := range results {
		if errors.Is(err, result.err) {
			m.publishes.WithLabelValues(link, result.word).Inc()
			return
		}
	}
}

func (m *Metrics) settle(link string, v verdict) {
	if m != nil {
		m.settled.WithLabelValues(link, v.String()).Inc()
	}
}

func (m *Metrics) settleFrames(link string, n int) {
	if m != nil {
		m.settlements.WithLabelValues(link).Add(float64(n))
	}
}
