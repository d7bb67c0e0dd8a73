package suite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/local/netns"
	"github.com/cupline/cupline/local/rabbitmq"
	"github.com/cupline/cupline/verify/history"
)

const (
	// betweenNodes is the target of partitions.
	betweenNodes = "network between the nodes"
	// flap is how long a flapping network is whole, and how long it is not.
	flap = 700 * time.Millisecond
	// rejoinPatience is how long a node that was parted may take to come back by itself, and rejoinLimit bounds
	// all that follows.
	rejoinPatience = 75 * time.Second
	rejoinLimit    = 8 * time.Minute
)

// openNetwork gives each node of a cluster a host of its own, so that they can be parted. Where there is no such network
// the nodes share the loopback address, and no partition is drawn.
func (s *site) openNetwork(ctx context.Context, nodes int) ([]rabbitmq.Host, error) {
	if nodes == 1 {
		return nil, nil
	}
	network, err := netns.Open(ctx, nodes)
	if errors.Is(err, netns.ErrUnavailable) {
		s.say("no partitions between nodes: %v", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.network = network
	var hosts []rabbitmq.Host
	for _, h := range network.Hosts() {
		hosts = append(hosts, rabbitmq.Host{Name: h.Name, Address: h.Address, Network: h.Path})
	}
	return hosts, nil
}

// partitionBreakers part a node from the two others.
func (s *site) partitionBreakers() map[schedule.Action]breaker {
	return map[schedule.Action]breaker{
		schedule.Partition: func(ctx context.Context, f schedule.Fault) error {
			return s.part(ctx, f, s.around(f.Nth-1, true))
		},
		schedule.PartitionLeader: func(ctx context.Context, f schedule.Fault) error {
			one, err := s.leaderNumber(ctx)
			if err != nil {
				return err
			}
			return s.part(ctx, f, s.around(one, true))
		},
		schedule.PartitionOneWay: func(ctx context.Context, f schedule.Fault) error {
			return s.part(ctx, f, s.around(f.Nth-1, false))
		},
		schedule.PartitionFlapping: func(ctx context.Context, f schedule.Fault) error {
			return s.flapping(ctx, f, s.around(f.Nth-1, true))
		},
	}
}

// leaderNumber is that of the host whose node leads the default lane's queue.
func (s *site) leaderNumber(ctx context.Context) (int, error) {
	name, err := s.leader(ctx)
	if err != nil {
		return 0, err
	}
	for i := range s.network.Hosts() {
		if nodeName(i) == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("the leader %s has no host", name)
}

// way is one direction between two hosts.
type way struct{ from, to int }

// around are the ways from a host to the others, and back with both.
func (s *site) around(one int, both bool) (ways []way) {
	for other := range s.network.Hosts() {
		if other == one {
			continue
		}
		ways = append(ways, way{one, other})
		if both {
			ways = append(ways, way{other, one})
		}
	}
	return ways
}

func (s *site) turn(ctx context.Context, ways []way, turn func(ctx context.Context, from, to int) error) error {
	var errs []error
	for _, w := range ways {
		errs = append(errs, turn(ctx, w.from, w.to))
	}
	return errors.Join(errs...)
}

// part closes ways for the fault's time.
func (s *site) part(ctx context.Context, f schedule.Fault, ways []way) error {
	whole := context.WithoutCancel(ctx)
	err := s.turn(whole, ways, s.network.Cut)
	pause(ctx, f.For)
	return errors.Join(err, s.turn(whole, ways, s.network.Mend), s.rejoined(whole))
}

// flapping closes and opens ways, again and again.
func (s *site) flapping(ctx context.Context, f schedule.Fault, ways []way) error {
	whole := context.WithoutCancel(ctx)
	var errs []error
	for end := time.Now().Add(f.For); time.Now().Before(end) && ctx.Err() == nil; {
		errs = append(errs, s.turn(whole, ways, s.network.Cut))
		pause(ctx, flap)
		errs = append(errs, s.turn(whole, ways, s.network.Mend))
		pause(ctx, flap)
	}
	return errors.Join(append(errs, s.rejoined(whole))...)
}

// rejoined waits until each node serves, and knows every other to run: one that was parted from the majority stops to
// serve, and comes back by itself. RabbitMQ 3.10.8 does not always: then it is started again, as an operator
// would, and that is written down.
func (s *site) rejoined(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rejoinLimit)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		err := s.awaitUnited(ctx, s.nodes[name])
		if err == nil {
			continue
		}
		s.say("%s has not come back by itself after %s and is started again: %v", name, rejoinPatience, err)
		s.log.Add(history.Event{Kind: history.Helped, Name: name, Detail: "started again after a partition"})
		node := s.nodes[name]
		// It serves when Start returns. The management API may still wait for figures of a node whose agent has crashed.
		if err := errors.Join(node.Kill(), s.supervise(ctx, node)); err != nil {
			return err
		}
	}
	return nil
}

// startTries is how often a node is started that ends while it starts: one of 3.10.8 does that when its peers have no flags of features for it yet.
const startTries = 5

// supervise starts a node that does not run, as a supervisor would.
func (s *site) supervise(ctx context.Context, node *rabbitmq.Instance) error {
	var errs []error
	for range startTries {
		err := node.Start(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		s.say("a node ended while it started")
		errs = append(errs, err)
		if err := node.Kill(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		pause(ctx, look)
	}
	return errors.Join(errs...)
}

// awaitUnited waits for a node to be united with the others.
func (s *site) awaitUnited(ctx context.Context, node *rabbitmq.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, rejoinPatience)
	defer cancel()
	for {
		err := s.united(ctx, node)
		if err == nil || !pause(ctx, look) {
			return err
		}
	}
}

// united is nil once a node serves, and knows all nodes to run and no partition.
func (s *site) united(ctx context.Context, node *rabbitmq.Instance) error {
	if err := node.Serving(ctx); err != nil {
		return err
	}
	var known []struct {
		Name       string   `json:"name"`
		Running    bool     `json:"running"`
		Partitions []string `json:"partitions"`
	}
	if err := get(ctx, node.ManagementURL()+"/api/nodes", &known); err != nil {
		return err
	}
	if len(known) != len(s.nodes) {
		return fmt.Errorf("it knows of %d nodes", len(known))
	}
	for _, other := range known {
		if !other.Running || len(other.Partitions) > 0 {
			return fmt.Errorf("%s: running %t, parted from %v", other.Name, other.Running, other.Partitions)
		}
	}
	return nil
}
