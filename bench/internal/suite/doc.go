// Package suite decides what is measured, in which order, and how: cases at their ceiling, each between two runs of the
// plain bare pipeline, so that both meet the same machine; then latencies at given rates.
package suite
