package telemetry_test

import (
	"testing"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/telemetry"
)

func TestALogLineLeadsToItsTrace(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for parent, want := range map[string]zap.Field{
		"00-" + id + "-00f067aa0ba902b7-01": zap.String("trace_id", id),
		"00-" + id + "-00f067aa0ba902b7-00": zap.String("trace_id", id), // not sampled here, maybe elsewhere
		"":                                  zap.Skip(),
		"00-" + id:                          zap.Skip(),
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01": zap.Skip(),
		"00 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 01": zap.Skip(),
	} {
		if got := telemetry.TraceID(parent); !got.Equals(want) {
			t.Errorf("%q: %+v, want %+v", parent, got, want)
		}
	}
}
