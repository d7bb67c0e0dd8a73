// Package management asks the broker's management API for what AMQP cannot tell: which
// slots there are, and who is bound to them.
package management

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cupline/cupline/schema/topology"
)

const (
	// requestLimit bounds one request; a list of very many bindings takes its time.
	requestLimit = time.Minute
	pageSize     = 500
)

// Client of one virtual host.
type Client struct {
	base  *url.URL
	vhost string
	http  http.Client
}

// New makes a client. managementURL is http:// or https:// with user and password; the virtual
// host is the one that amqpURL (the first, if there are several) leads to. Errors show no password.
func New(managementURL string, transport *http.Transport, amqpURL string) (*Client, error) {
	base, err := url.Parse(managementURL)
	if err != nil || base.Host == "" || base.User == nil {
		return nil, errors.New("the management URL must be http:// or https:// with user and password")
	}
	first, _, _ := strings.Cut(amqpURL, ",")
	broker, err := url.Parse(strings.TrimSpace(first))
	if err != nil {
		return nil, errors.New("the AMQP URL cannot be read")
	}
	vhost := strings.TrimPrefix(broker.Path, "/")
	if vhost == "" {
		vhost = "/"
	}
	return &Client{base: base, vhost: vhost, http: http.Client{Transport: transport, Timeout: requestLimit}}, nil
}

// Slots lists the slots whose queues exist.
func (c *Client) Slots(ctx context.Context) ([]string, error) {
	prefix := topology.PushQueue("")
	var slots []string
	for page := 1; ; page++ {
		var answer struct {
			Items []struct{ Name string }
			Pages int `json:"page_count"`
		}
		query := url.Values{
			"columns": {"name"}, "name": {"^" + regexp.QuoteMeta(prefix)}, "use_regex": {"true"},
			"page": {strconv.Itoa(page)}, "page_size": {strconv.Itoa(pageSize)},
		}
		if err := c.get(ctx, "list the slots", query, &answer, "queues", c.vhost); err != nil {
			return nil, err
		}
		for _, queue := range answer.Items {
			if slot, is := strings.CutPrefix(queue.Name, prefix); is && topology.ValidID(slot) {
				slots = append(slots, slot)
			}
		}
		if page >= answer.Pages {
			return slots, nil
		}
	}
}

// Bound lists the routing keys that lead to a slot.
func (c *Client) Bound(ctx context.Context, slot string) ([]string, error) {
	var answer []struct {
		Key string `json:"routing_key"`
	}
	query := url.Values{"columns": {"routing_key"}}
	err := c.get(ctx, "list the bindings of slot "+slot, query, &answer,
		"bindings", c.vhost, "e", topology.ClientsExchange, "q", topology.PushQueue(slot))
	keys := make([]string, len(answer))
	for i, binding := range answer {
		keys[i] = binding.Key
	}
	return keys, err
}

func (c *Client) get(ctx context.Context, what string, query url.Values, into any, path ...string) error {
	u := *c.base
	u.User = nil
	for i, part := range path {
		path[i] = url.PathEscape(part)
	}
	u.RawPath = strings.TrimSuffix(u.Path, "/") + "/api/" + strings.Join(path, "/")
	u.Path, _ = url.PathUnescape(u.RawPath) // just escaped
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	password, _ := c.base.User.Password()
	request.SetBasicAuth(c.base.User.Username(), password)
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the management API answers %s", what, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("%s: read the answer: %w", what, err)
	}
	return nil
}

// Close lets go of idle connections.
func (c *Client) Close(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}
