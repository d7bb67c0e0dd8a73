package app

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/registry"
)

// ways declares what this process uses on the broker, on every connect.
type ways struct {
	log   *zap.Logger
	drift *prometheus.GaugeVec
}

func newWays(log *zap.Logger, registerer prometheus.Registerer) (*ways, error) {
	drift := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cupline_topology_drift",
		Help: "Queues and exchanges that exist with other arguments than declared, as found at the last connect.",
	}, []string{"link"})
	return &ways{log: log, drift: drift}, registerer.Register(drift)
}

// declare registers the step that declares on link what want returns.
func (w *ways) declare(link *broker.Link, name string, want func(ctx context.Context) (topology.Topology, error)) {
	link.OnUp("declare the topology", func(ctx context.Context, s *broker.Session) error {
		t, err := want(ctx)
		if err != nil {
			return err
		}
		drifts, err := s.Declare(ctx, t)
		if err != nil {
			return err
		}
		w.drift.WithLabelValues(name).Set(float64(len(drifts)))
		for _, d := range drifts {
			w.log.Warn("exists with other arguments than declared; `cupline topology apply` changes it",
				zap.String("what", d.What), zap.String("name", d.Name), zap.Error(d.Err))
		}
		return nil
	})
}

// lanesPause is how often the registry is asked for a lane that it cannot tell yet.
const lanesPause = time.Second

// lanes returns the topology of the named lanes, as operators configured them. It waits,
// within ctx, for a database that is away: without it no command could be claimed anyway.
func lanes(ctx context.Context, cache *registry.Cache, names []string) (topology.Topology, error) {
	configured := make([]topology.Lane, 0, len(names))
	for _, name := range names {
		for {
			lane, err := cache.Lane(ctx, name)
			if err == nil {
				configured = append(configured, lane)
				break
			}
			timer := time.NewTimer(lanesPause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return topology.Topology{}, fmt.Errorf("find the settings of lane %s: %w", name, err)
			}
		}
	}
	return topology.Commands(configured...), nil
}
