package platform

import (
	"context"
	"fmt"

	"github.com/cupline/cupline/local/rabbitmq"
)

// startBroker starts the nodes one after the other; each joins the first.
func (p *Platform) startBroker(ctx context.Context, nodes int) error {
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

// node is the configuration of a node; the first one's says nothing of the others.
func (p *Platform) node(i int) rabbitmq.Config {
	config := rabbitmq.Config{Base: p.set.Folder, DeviceLogins: p.deviceLogins}
	if i == 0 || p.Broker == nil {
		return config
	}
	config.Name = fmt.Sprintf("rabbitmq-%d", i)
	config.User, config.Password = p.Broker.User(), p.Broker.Password()
	config.Cookie, config.EpmdPort = p.Broker.Cookie(), p.Broker.EpmdPort()
	config.Settings = []string{
		"cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config",
		"cluster_formation.classic_config.nodes.1 = " + p.Broker.Node(),
		"cluster_partition_handling = pause_minority",
	}
	return config
}

// nodes of the broker that were started, the first one last: its epmd serves the others.
func (p *Platform) nodes() []*rabbitmq.Instance {
	if p.Broker == nil {
		return p.Peers
	}
	return append(p.Peers[:len(p.Peers):len(p.Peers)], p.Broker)
}
