package telemetry

import "maps"

// Headers of the W3C trace context, carried as they are from the HTTP request through
// every message of a command.
const (
	TraceParent = "traceparent"
	TraceState  = "tracestate"
)

// maxTrace is the longest trace header that is carried on, in bytes.
const maxTrace = 512

// CopyTrace returns to with the trace context of from, in a new map if something is added
// to it: headers that were published are never changed.
func CopyTrace(to, from map[string]any) map[string]any {
	return WithTrace(to, text(from, TraceParent), text(from, TraceState))
}

// WithTrace is CopyTrace for a trace context that came in HTTP headers; empty and overlong
// values are left out.
func WithTrace(to map[string]any, parent, state string) map[string]any {
	if parent == "" || len(parent) > maxTrace {
		return to
	}
	headers := make(map[string]any, len(to)+2)
	maps.Copy(headers, to)
	headers[TraceParent] = parent
	if state != "" && len(state) <= maxTrace {
		headers[TraceState] = state
	}
	return headers
}

func text(headers map[string]any, name string) string {
	s, _ := headers[name].(string)
	return s
}
