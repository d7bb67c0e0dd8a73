package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

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
	topology.CommandsExchange, topology.DeadExchange, topology.RepliesExchange, topology.MailboxExchange,
	topology.DeviceExchange,
}

// management is the API of RabbitMQ's management plugin, for one virtual host.
type management struct {
	base  *url.URL
	vhost string
	http  http.Client
}

// newManagement takes the API's address, and the virtual host from the AMQP URL.
func newManagement(address, amqpURL string) (*management, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" {
		return nil, errors.New("RABBITMQ_MANAGEMENT_URL: must be http://user:password@host:port")
	}
	amqp, err := url.Parse(strings.Split(amqpURL, ",")[0])
	if err != nil {
		return nil, errors.New("AMQP_URL: must be amqp://user:password@host:port/vhost")
	}
	vhost := strings.TrimPrefix(amqp.Path, "/")
	if vhost == "" {
		vhost = "/"
	}
	return &management{base: base, vhost: vhost, http: http.Client{Timeout: 30 * time.Second}}, nil
}

// read takes the whole picture.
func (m *management) read(ctx context.Context) (live, error) {
	l := live{exchanges: map[string]liveExchange{}, queues: map[string]liveQueue{}, bindings: map[topology.Binding]bool{}}
	var exchanges []liveExchange
	if err := m.get(ctx, &exchanges, "exchanges", m.vhost); err != nil {
		return l, err
	}
	for _, e := range exchanges {
		l.exchanges[e.Name] = e
	}
	var queues []liveQueue
	if err := m.get(ctx, &queues, "queues", m.vhost); err != nil {
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
		if err := m.get(ctx, &bindings, "exchanges", m.vhost, name, "bindings", "source"); err != nil {
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

// maxAnswer bounds an answer of the API, in bytes.
const maxAnswer = 256 << 20

func (m *management) get(ctx context.Context, into any, path ...string) error {
	what := "ask the broker's management API for " + strings.Join(path, "/")
	for i, part := range path {
		path[i] = url.PathEscape(part)
	}
	address := *m.base
	address.User = nil
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(address.String(), "/")+"/api/"+strings.Join(path, "/"), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if m.base.User != nil {
		password, _ := m.base.User.Password()
		request.SetBasicAuth(m.base.User.Username(), password)
	}
	answer, err := m.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: it answers %s", what, answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("%s: read the answer: %w", what, err)
	}
	return nil
}
