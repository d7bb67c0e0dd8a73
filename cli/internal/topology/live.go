package topology

import (
	"context"

	"github.com/cupline/cupline/cli/internal/management"
	"github.com/cupline/cupline/schema/topology"
)

// live is what a broker has, as its management API tells it.
type live struct {
	exchanges map[string]liveExchange
	queues    map[string]liveQueue
	// bindings from the exchanges whose bindings matter.
	bindings map[topology.Binding]bool
}

type liveExchange struct {
	Name      string         `json:"name"`
	Type      string         `json:"type"`
	Durable   bool           `json:"durable"`
	Arguments map[string]any `json:"arguments"`
}

type liveQueue struct {
	Name      string         `json:"name"`
	Durable   bool           `json:"durable"`
	Exclusive bool           `json:"exclusive"`
	Arguments map[string]any `json:"arguments"`
	// Messages and Consumers lag by a few seconds.
	Messages  int64 `json:"messages"`
	Consumers int   `json:"consumers"`
}

type liveBinding struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Kind        string `json:"destination_type"`
	Key         string `json:"routing_key"`
}

// watched are the exchanges whose bindings are read. That of connected clients is not:
// it has one for each, and they are the pushers' own.
var watched = []string{
	topology.CommandsExchange, topology.DeadExchange, topology.ParkedExchange, topology.RepliesExchange,
	topology.MailboxExchange, topology.DeviceExchange,
}

// vhost is the API of RabbitMQ's management plugin, for one virtual host.
type vhost struct{ *management.Client }

// read takes the whole picture.
func (m vhost) read(ctx context.Context) (live, error) {
	l := live{exchanges: map[string]liveExchange{}, queues: map[string]liveQueue{}, bindings: map[topology.Binding]bool{}}
	var exchanges []liveExchange
	if err := m.Get(ctx, &exchanges, "exchanges", m.VHost); err != nil {
		return l, err
	}
	for _, e := range exchanges {
		l.exchanges[e.Name] = e
	}
	var queues []liveQueue
	if err := m.Get(ctx, &queues, "queues", m.VHost); err != nil {
		return l, err
	}
	for _, q := range queues {
		l.queues[q.Name] = q
	}
	for _, name := range watched {
		if _, there := l.exchanges[name]; !there {
			continue
		}
		var bindings []liveBinding
		if err := m.Get(ctx, &bindings, "exchanges", m.VHost, name, "bindings", "source"); err != nil {
			return l, err
		}
		for _, b := range bindings {
			l.bindings[topology.Binding{
				Source: b.Source, Key: b.Key, Destination: b.Destination, ToExchange: b.Kind == "exchange",
			}] = true
		}
	}
	return l, nil
}
