package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Observe notes a duration in seconds. When traceParent is the W3C context of a trace that
// is sampled, the trace's id goes along as an exemplar, so that a bucket leads to a trace.
func Observe(o prometheus.Observer, took time.Duration, traceParent string) {
	if id := sampled(traceParent); id != "" {
		if with, ok := o.(prometheus.ExemplarObserver); ok {
			with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": id})
			return
		}
	}
	o.Observe(took.Seconds())
}

// TraceID is the field of a log line that leads to its trace, by a W3C traceparent; nothing without one.
func TraceID(traceParent string) zap.Field {
	if id := traceOf(traceParent); id != "" {
		return zap.String("trace_id", id)
	}
	return zap.Skip()
}

// flags is where the last digit of a traceparent's flags is.
const flags = len("00-00000000000000000000000000000000-0000000000000000-0")

// sampled is the trace id of a traceparent with the sampled flag; empty for any other text.
func sampled(traceParent string) string {
	id := traceOf(traceParent)
	if id == "" {
		return ""
	}
	switch traceParent[flags] {
	case '1', '3', '5', '7', '9', 'b', 'd', 'f': // the lowest bit
		return id
	}
	return ""
}

// traceOf is the trace id of a traceparent (W3C Trace Context, section 3.2): version 2, trace id 32, parent id 16, flags 2
// hexadecimal digits, with dashes between them; empty for any other text.
func traceOf(traceParent string) string {
	if len(traceParent) < flags+1 || traceParent[2] != '-' || traceParent[35] != '-' || traceParent[52] != '-' {
		return ""
	}
	id := traceParent[3:35]
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}
