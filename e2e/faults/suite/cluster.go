package suite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/schema/topology"
)

// cluster is all nodes of the broker as one target.
const cluster = "cluster"

// brokers is the broker as targets: one node, or each of a cluster and all of it. Of a cluster one thing is
// broken at a time, so that two nodes are down only where that is what the plan says.
func (s *site) brokers() []schedule.Target {
	if len(s.Peers) == 0 {
		return []schedule.Target{{Name: broker, Class: schedule.Server}}
	}
	all := []schedule.Target{{Name: cluster, Class: schedule.Cluster}}
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		all = append(all, schedule.Target{Name: name, Class: schedule.Node, Of: cluster, Kind: "a node of the broker"})
	}
	if s.network != nil {
		all = append(all, schedule.Target{Name: betweenNodes, Class: schedule.Network, Of: cluster})
	}
	return all
}

// wholeBroker is what a fault of the broker as such breaks.
func (s *site) wholeBroker() string {
	if len(s.Peers) == 0 {
		return broker
	}
	return cluster
}

// clusterBreakers break several nodes, or the one that matters most.
func (s *site) clusterBreakers() map[schedule.Action]breaker {
	return map[schedule.Action]breaker{
		schedule.KillLeader: func(ctx context.Context, f schedule.Fault) error {
			leader, err := s.leader(ctx)
			if err != nil {
				return err
			}
			return s.killNodes(ctx, f, leader)
		},
		schedule.KillTwo: func(ctx context.Context, f schedule.Fault) error {
			names := slices.Sorted(maps.Keys(s.nodes))
			return s.killNodes(ctx, f, slices.Delete(names, f.Nth-1, f.Nth)...)
		},
		schedule.RestartAll: func(ctx context.Context, f schedule.Fault) error {
			return s.killNodes(ctx, f, slices.Sorted(maps.Keys(s.nodes))...)
		},
	}
}

// leaderLimit bounds the wait for a queue to have a leader that the broker's figures know.
const leaderLimit = 30 * time.Second

// leader is the name of the node that leads the default lane's queue.
func (s *site) leader(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderLimit)
	defer cancel()
	for {
		var queue struct {
			Leader string `json:"leader"`
		}
		err := s.manage(ctx, "/api/queues/%2F/"+topology.WorkQueue(topology.DefaultLane().Name), &queue)
		for name, node := range s.nodes {
			if err == nil && node.Node() == queue.Leader {
				return name, nil
			}
		}
		if !pause(ctx, look) {
			return "", fmt.Errorf("find the leader, which is %q: %w", queue.Leader, errors.Join(err, ctx.Err()))
		}
	}
}

// killNodes kills nodes, and starts them again together: those of a cluster wait for each other.
func (s *site) killNodes(ctx context.Context, f schedule.Fault, names ...string) error {
	kill := func() error {
		return each(names, func(name string) error { return s.nodes[name].Kill() })
	}
	start := func(ctx context.Context) error {
		return each(names, func(name string) error { return s.supervise(ctx, s.nodes[name]) })
	}
	f.Action = schedule.Kill
	return down(ctx, f, kill, nil, start)
}

// each does something for all names at once.
func each(names []string, do func(name string) error) error {
	var all sync.WaitGroup
	errs := make([]error, len(names))
	for i, name := range names {
		all.Go(func() { errs[i] = do(name) })
	}
	all.Wait()
	return errors.Join(errs...)
}
