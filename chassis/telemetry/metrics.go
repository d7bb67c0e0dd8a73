package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry makes a registry with the collectors of the Go runtime and the process.
func NewRegistry() *Registry {
	registry := &Registry{Registry: prometheus.NewRegistry()}
	registry.Registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// Seconds describes a histogram of durations in seconds: buckets from 0.5 ms to about two
// minutes, the same everywhere so that they can be compared, and a native histogram for
// servers that keep those.
func Seconds(name, help string) prometheus.HistogramOpts {
	return native(name, help, prometheus.ExponentialBuckets(0.0005, 2, 19))
}

// Sizes describes a histogram of how many: sizes of batches, lengths of queues. Buckets
// from 1 to 16,384.
func Sizes(name, help string) prometheus.HistogramOpts {
	return native(name, help, prometheus.ExponentialBuckets(1, 2, 15))
}

func native(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100, // bounds the memory of each series
		NativeHistogramMinResetDuration: time.Hour,
	}
}
