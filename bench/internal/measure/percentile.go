package measure

import (
	"math"
	"slices"
	"time"
)

// Latency sums up a set of durations. Its percentiles are exact: all durations are kept and sorted.
type Latency struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
}

// Summarise sorts the durations in place and sums them up; the zero value for none.
func Summarise(durations []time.Duration) Latency {
	if len(durations) == 0 {
		return Latency{}
	}
	slices.Sort(durations)
	return Latency{
		Count: len(durations), P50: Percentile(durations, 50), P90: Percentile(durations, 90),
		P99: Percentile(durations, 99), P999: Percentile(durations, 99.9), Max: durations[len(durations)-1],
	}
}

// Percentile is the smallest of the sorted durations that p percent are not above (nearest rank).
func Percentile(sorted []time.Duration, p float64) time.Duration {
	// Without the small reduction 99.9 % of 1,000, being a little more than 999 in binary, would be the 1,000th.
	rank := int(math.Ceil(p/100*float64(len(sorted)) - 1e-9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
