package mqtt

import "github.com/prometheus/client_golang/prometheus"

// Why an answer did not count.
const (
	ignoredNoCall     = "no_call"    // late, a second one, or somebody else's id
	ignoredUnreadable = "unreadable" // no JSON, or no id in it
	ignoredTopic      = "topic"      // not a topic of this dispatcher's answers
)

// Metrics of a Driver.
type Metrics struct {
	ignored *prometheus.CounterVec
}

// NewMetrics registers the driver's collectors.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{ignored: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cupline_answers_ignored_total",
		Help: "Messages on this dispatcher's topics of replies that matched no call in flight.",
	}, []string{"why"})}
	return m, registerer.Register(m.ignored)
}

func (m *Metrics) ignore(why string) { m.ignored.WithLabelValues(why).Inc() }
