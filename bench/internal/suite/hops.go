package suite

import (
	"context"
	"maps"
	"slices"

	"github.com/cupline/cupline/bench/internal/hops"
	"github.com/cupline/cupline/bench/internal/report"
)

// way is a command's, as the services' histograms tell it. Times since the acceptance are in database time, to the millisecond.
func way() []hops.Hop {
	link := func(name string) map[string]string { return map[string]string{"link": name} }
	return []hops.Hop{
		{Name: "POST answered", Metric: "cupline_api_request_seconds", Labels: map[string]string{"method": "POST", "status": "202"}},
		{Name: "broker's confirm of the command", Metric: "cupline_broker_publish_seconds", Labels: link("api")},
		{Name: "taken by the dispatcher, since accepted", Metric: "cupline_queue_wait_seconds"},
		{Name: "device answered, since handed to its driver", Metric: "cupline_execution_seconds"},
		{Name: "decided, since accepted", Metric: "cupline_end_to_end_seconds"},
		{Name: "outcome published: the broker's confirm", Metric: "cupline_broker_publish_seconds", Labels: link("dispatcher-publish")},
		{Name: "acked by the client, since accepted", Metric: "cupline_push_end_to_end_seconds"},
	}
}

// look reads the services' histograms before a paced run; a run at the ceiling has no hops.
func (b *bench) look(ctx context.Context, run *report.Run) (map[string]hops.Counts, error) {
	if run.Kind != report.Paced {
		return nil, nil
	}
	return hops.Look(ctx, b.internal(), way())
}

func (b *bench) internal() []string { return slices.Sorted(maps.Values(b.platform.Internal())) }

// hops is what the services counted since then, warm-up and draining included.
func (b *bench) hops(ctx context.Context, run *report.Run, before map[string]hops.Counts) error {
	if before == nil {
		return nil
	}
	after, err := hops.Look(ctx, b.internal(), way())
	if err != nil {
		return err
	}
	for _, hop := range way() {
		counts := after[hop.Name].Since(before[hop.Name])
		if counts.Count() > 0 {
			run.Hops = append(run.Hops, report.Hop{Name: hop.Name, P50: counts.Percentile(50), P99: counts.Percentile(99)})
		}
	}
	run.Hops = append(run.Hops, report.Hop{Name: "frame at the client, since the POST was due", P50: run.Latency.P50, P99: run.Latency.P99})
	return nil
}
