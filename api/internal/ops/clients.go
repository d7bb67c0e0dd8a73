package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cupline/cupline/schema/topology"
)

// Connection says that a client is connected, or was a minute ago at most: a pusher keeps its place for so long.
type Connection struct {
	Tenant string `json:"tenant"`
	Client string `json:"client"`
	// Pushers are the slots that it is connected to.
	Pushers []string `json:"pushers"`
}

// clientsAge is how long an answer is used again, whoever asks: the broker lists every binding for it.
const clientsAge = 5 * time.Second

// Clients knows who is connected: the bindings of cupline.clients are the table of it. One question at a time
// goes to the broker's management API, and at most one in clientsAge.
type Clients struct {
	queues *Queues

	mu      sync.Mutex // held while the broker is asked, so that all others wait for the same answer
	asked   time.Time
	known   []Connection
	problem error
}

// NewClients asks the management API that queues asks.
func NewClients(queues *Queues) *Clients { return &Clients{queues: queues} }

// Read returns who is connected, by tenant and client. The slice must not be changed. The error says, for people, why
// nobody knows.
func (c *Clients) Read(ctx context.Context) ([]Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.asked) < clientsAge {
		return c.known, c.problem
	}
	if c.queues.base == nil {
		return nil, errors.New("no management API is set")
	}
	asking, cancel := context.WithTimeout(ctx, managementLimit)
	defer cancel()
	c.known, c.problem = c.ask(asking)
	if ctx.Err() == nil { // else it is this caller that went away
		c.asked = time.Now()
	}
	return c.known, c.problem
}

// binding in the management API's words.
type binding struct {
	Queue string `json:"destination"`
	Key   string `json:"routing_key"`
}

func (c *Clients) ask(ctx context.Context) ([]Connection, error) {
	u := c.queues.base.JoinPath("api", "exchanges", url.PathEscape(c.queues.vhost), topology.ClientsExchange, "bindings", "source")
	u.RawQuery = "columns=destination,routing_key"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("the management API cannot be asked")
	}
	answer, err := c.queues.http.Do(request)
	if err != nil {
		return nil, errors.New("the management API does not answer")
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound: // the exchange is transient, and comes with the first pusher
		return []Connection{}, nil
	default:
		return nil, fmt.Errorf("the management API answered %s", answer.Status)
	}
	var all []binding
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxPicture)).Decode(&all); err != nil {
		return nil, errors.New("the management API's answer cannot be read")
	}
	return connections(all), nil
}

func connections(all []binding) []Connection {
	slices.SortFunc(all, func(a, b binding) int {
		return strings.Compare(a.Key+" "+a.Queue, b.Key+" "+b.Queue)
	})
	found := []Connection{}
	for _, b := range all {
		tenant, client, isClient := strings.Cut(b.Key, ".")
		slot, isPusher := strings.CutPrefix(b.Queue, topology.PushQueue(""))
		if !isClient || !isPusher {
			continue
		}
		if last := len(found) - 1; last >= 0 && found[last].Tenant == tenant && found[last].Client == client {
			found[last].Pushers = append(found[last].Pushers, slot)
			continue
		}
		found = append(found, Connection{Tenant: tenant, Client: client, Pushers: []string{slot}})
	}
	return found
}
