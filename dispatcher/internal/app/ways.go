package app

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/registry"
)

// ways declares what this process uses on the broker, on every connect and now and then.
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
	link.Keep(broker.KeepEvery, want)
}

// lanes returns the topology of the named lanes, as operators configured them; api declares it. With the
// database away it fails, and so does the link's step: no command could be claimed anyway,
// and readiness then says what is missing. Once known, the cache keeps them.
func lanes(ctx context.Context, cache *registry.Cache, names []string) (topology.Topology, error) {
	configured := make([]topology.Lane, len(names))
	for i, name := range names {
		lane, err := cache.Lane(ctx, name)
		if err != nil {
			return topology.Topology{}, fmt.Errorf("find the settings of the lane: %w", err)
		}
		configured[i] = lane
	}
	return topology.Borrow(topology.Commands(configured...)), nil
}

// measured fails unless the database's clock is known: before that, whether another worker
// may still be alive would be a guess by this machine's clock.
func measured(ctx context.Context, clock *postgres.Clock) error {
	if _, known := clock.Offset(); known {
		return nil
	}
	if err := clock.Measure(ctx); err != nil {
		return fmt.Errorf("measure the database's clock: %w", err)
	}
	return nil
}
