package feed

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cupline/cupline/chassis/telemetry"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
)

// Metrics of the feeds. The lane is the feed's own, never what a message says.
type Metrics struct {
	outcomes *prometheus.CounterVec
	buried   *prometheus.CounterVec
	silent   *prometheus.CounterVec
	parked   *prometheus.CounterVec
	adopted  *prometheus.CounterVec
	returned *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
	slots    *prometheus.GaugeVec
	ended    *prometheus.CounterVec
	late     *prometheus.CounterVec
	took     *prometheus.HistogramVec
	letters  prometheus.Gauge
	unsent   prometheus.Counter
}

// NewMetrics registers the feeds' collectors.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		outcomes: counter("cupline_outcomes_total", "Outcomes published, confirmed.", "lane", "origin", "reason"),
		buried:   counter("cupline_buried_total", "Commands given to the recorder, confirmed.", "lane", "reason"),
		silent:   counter("cupline_silent_total", "Commands acknowledged without a word: one-way ones that ran, repeated posts whose first copy answers.", "lane"),
		parked:   counter("cupline_parked_total", "Commands put aside because their device is paused; each comes back every few seconds.", "lane"),
		adopted:  counter("cupline_adopted_total", "Redeliveries of commands that run in this process.", "lane"),
		returned: counter("cupline_returned_total", "Deliveries given up unacknowledged, for the broker to deliver again.", "lane"),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "cupline_in_flight", Help: "Commands taken and not yet settled."}, []string{"lane"}),
		slots: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "cupline_concurrency", Help: "Commands that may execute at once in this process."}, []string{"lane"}),
		ended: counter("cupline_commands_ended_total", "Accepted commands and redrives that ended, once each: "+
			"by the device's result or error, one_way, repeated (a repeated post), or by the platform's reason.", "lane", "outcome"),
		late: counter("cupline_commands_late_total", "Those of them that ended later than their deadline, their method's timeout and 2 s.", "lane", "outcome"),
		took: prometheus.NewHistogramVec(telemetry.Seconds("cupline_end_to_end_seconds",
			"Time from a command's acceptance to the decision of its outcome, in database time."), []string{"lane", "outcome"}),
		letters: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cupline_letters_in_flight", Help: "Dead letters taken and not yet settled."}),
		unsent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cupline_publish_retries_total", Help: "Publishes of outcomes and letters that have to be tried again."}),
	}
	err := errors.Join(
		registerer.Register(m.outcomes), registerer.Register(m.buried), registerer.Register(m.silent),
		registerer.Register(m.adopted), registerer.Register(m.returned), registerer.Register(m.inFlight),
		registerer.Register(m.unsent), registerer.Register(m.slots), registerer.Register(m.ended), registerer.Register(m.late),
		registerer.Register(m.took), registerer.Register(m.letters), registerer.Register(m.parked),
	)
	return m, err
}

// RecorderLane is the lane label of outcomes that the recorder publishes: it serves all
// lanes, and the lane that a dead letter names may be anything.
const RecorderLane = "-"

func (m *Metrics) settled(lane string, v dispatch.Verdict) {
	switch {
	case v.Outcome != nil:
		m.outcomes.WithLabelValues(lane, v.Outcome.Origin, string(v.Outcome.Reason)).Inc()
	case v.Letter != nil:
		m.buried.WithLabelValues(lane, string(v.Letter.Reason)).Inc()
	case v.Park:
		m.parked.WithLabelValues(lane).Inc()
	default:
		m.silent.WithLabelValues(lane).Inc()
	}
	if v.Ending.Word != "" {
		m.Ended(lane, v.Ending)
	}
}

// Ended counts the end of a command. The lane must be one of a bounded set.
func (m *Metrics) Ended(lane string, e dispatch.Ending) {
	m.ended.WithLabelValues(lane, e.Word).Inc()
	if e.Late {
		m.late.WithLabelValues(lane, e.Word).Inc()
	}
	if e.Took > 0 {
		telemetry.Observe(m.took.WithLabelValues(lane, e.Word), e.Took, e.Trace.Parent)
	}
}
