package platform

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cupline/cupline/local/rabbitmq"
)

// silence of a node on a host of its own after which the others count it as down.
const silence = 8 * time.Second

// startBroker starts the nodes one after the other; each joins the first. Those of a cluster find each
// other by an epmd that outlives all of them, so that any may be ended.
func (p *Platform) startBroker(ctx context.Context, nodes int) error {
	if nodes > 1 && len(p.extra.Hosts) == 0 {
		var err error
		if p.epmd, err = rabbitmq.StartEpmd(ctx, p.set.Folder); err != nil {
			return err
		}
	}
	for i := range nodes {
		node, err := rabbitmq.Start(ctx, p.node(i))
		if err != nil {
			return fmt.Errorf("start node %d of the broker: %w", i, err)
		}
		if i == 0 {
			p.Broker = node
		} else {
			p.Peers = append(p.Peers, node)
		}
	}
	return nil
}

// node is the configuration of a node; the first one's names no other.
func (p *Platform) node(i int) rabbitmq.Config {
	config := rabbitmq.Config{Base: p.set.Folder, DeviceLogins: p.deviceLogins, Settings: slices.Clone(p.extra.Broker)}
	if p.epmd != nil {
		config.EpmdPort = p.epmd.Port()
	}
	if len(p.extra.Hosts) > 0 {
		config.Host, config.Hosts, config.Silence = p.extra.Hosts[i], p.extra.Hosts, silence
		if i > 0 && p.Broker != nil {
			config.EpmdPort = p.Broker.EpmdPort() // each host has its own, at the same port
		}
	}
	if p.epmd != nil || len(p.extra.Hosts) > 0 {
		// Two of three go on; one that is alone waits for them.
		config.Settings = append(config.Settings, "cluster_partition_handling = pause_minority")
	}
	if i > 0 {
		config.Name = fmt.Sprintf("rabbitmq-%d", i)
	}
	if i == 0 || p.Broker == nil {
		return config
	}
	config.User, config.Password, config.Cookie = p.Broker.User(), p.Broker.Password(), p.Broker.Cookie()
	config.Settings = append(config.Settings,
		"cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config",
		"cluster_formation.classic_config.nodes.1 = "+p.Broker.Node(),
	)
	return config
}

// nodes of the broker that were started.
func (p *Platform) nodes() []*rabbitmq.Instance {
	if p.Broker == nil {
		return p.Peers
	}
	return append([]*rabbitmq.Instance{p.Broker}, p.Peers...)
}
