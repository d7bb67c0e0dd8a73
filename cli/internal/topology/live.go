package topology

import (
	"bytes"
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

// get asks for what is at a path.
func (m *management) get(ctx context.Context, into any, path ...string) error {
	found, err := m.find(ctx, into, path...)
	if err == nil && !found {
		err = fmt.Errorf("ask the broker's management API for %s: there is no such thing", strings.Join(path, "/"))
	}
	return err
}

// find is get for what may be missing.
func (m *management) find(ctx context.Context, into any, path ...string) (found bool, err error) {
	answer, err := m.call(ctx, http.MethodGet, nil, path...)
	if err != nil {
		return false, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusNotFound {
		return false, nil
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into); err != nil {
		return false, fmt.Errorf("ask the broker's management API for %s: read the answer: %w", strings.Join(path, "/"), err)
	}
	return true, nil
}

// put makes or replaces what is at a path.
func (m *management) put(ctx context.Context, content any, path ...string) error {
	answer, err := m.call(ctx, http.MethodPut, content, path...)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return fmt.Errorf("ask the broker's management API to PUT %s: there is no such thing", strings.Join(path, "/"))
	}
	return nil
}

// delete removes what is at a path, if it is there.
func (m *management) delete(ctx context.Context, path ...string) error {
	answer, err := m.call(ctx, http.MethodDelete, nil, path...)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// call returns an answer of success, or 404.
func (m *management) call(ctx context.Context, method string, content any, path ...string) (*http.Response, error) {
	what := fmt.Sprintf("ask the broker's management API to %s %s", method, strings.Join(path, "/"))
	escaped := make([]string, len(path))
	for i, part := range path {
		escaped[i] = url.PathEscape(part)
	}
	var body io.Reader
	if content != nil {
		encoded, err := json.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		body = bytes.NewReader(encoded)
	}
	address := *m.base
	address.User = nil
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(address.String(), "/")+"/api/"+strings.Join(escaped, "/"), body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if m.base.User != nil {
		password, _ := m.base.User.Password()
		request.SetBasicAuth(m.base.User.Username(), password)
	}
	answer, err := m.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if answer.StatusCode >= http.StatusMultipleChoices && answer.StatusCode != http.StatusNotFound {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s: it answers %s", what, answer.Status)
	}
	return answer, nil
}
