package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/store/identity"
)

// CrowdClient is the id of the nth client that only listens.
func CrowdClient(n int) string { return fmt.Sprintf("crowd-%05d", n) }

// Tenant of everything in a bench.
const Tenant = tenant

// Crowd are the tokens of so many clients that only listen, the first being that of CrowdClient(0). Keys are made when they are
// first asked for.
func (p *Platform) Crowd(ctx context.Context, clients int) ([]string, error) {
	have := len(p.crowd)
	if have >= clients {
		return p.crowd[:clients], nil
	}
	p.say(fmt.Sprintf("making %d keys", clients-have))
	tokens := append(p.crowd[:have:have], make([]string, clients-have)...)
	var missing []int
	for n := have; n < clients; n++ {
		missing = append(missing, n)
	}
	keys := identity.New(p.pool)
	err := each(ctx, missing, func(ctx context.Context, n int) error {
		token, _, err := keys.CreateKey(ctx, identity.NewKey{Tenant: tenant, Client: CrowdClient(n), Name: "bench", Scopes: []string{"replies:read"}})
		if err != nil {
			return fmt.Errorf("make the key of %s: %w", CrowdClient(n), err)
		}
		tokens[n] = token
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.crowd = tokens
	return tokens, nil
}

// MoreClients registers further ones that send, until there are so many.
func (p *Platform) MoreClients(ctx context.Context, clients int) error {
	keys := identity.New(p.pool)
	for len(p.Clients) < clients {
		client, err := newClient(ctx, keys, len(p.Clients))
		if err != nil {
			return err
		}
		p.Clients = append(p.Clients, client)
	}
	return nil
}

func newClient(ctx context.Context, keys *identity.Store, n int) (*load.Client, error) {
	client := fmt.Sprintf("client-%03d", n)
	token, _, err := keys.CreateKey(ctx, identity.NewKey{
		Tenant: tenant, Client: client, Name: "bench", Scopes: []string{"commands:send", "replies:read"},
	})
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", client, err)
	}
	return &load.Client{ID: client, Token: token}, nil
}

// BindingTables is how much memory the broker's tables occupy in which bindings are kept, and all else that its Mnesia holds. Bytes.
func (p *Platform) BindingTables(ctx context.Context) (int64, error) {
	var overview struct {
		Node string `json:"node"`
	}
	if err := p.ask(ctx, "/api/overview", &overview); err != nil {
		return 0, err
	}
	var found struct {
		Memory struct {
			Mnesia int64 `json:"mnesia"`
		} `json:"memory"`
	}
	if err := p.ask(ctx, "/api/nodes/"+overview.Node+"/memory", &found); err != nil {
		return 0, err
	}
	return found.Memory.Mnesia, nil
}

func (p *Platform) ask(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.broker.ManagementURL()+path, nil)
	if err != nil {
		return fmt.Errorf("ask the broker's management for %s", path) // the parser's words may show a password
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the broker's management for %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the broker's management for %s: %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
