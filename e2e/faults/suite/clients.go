package suite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/load"
)

// load makes the keys and starts the load.
func (s *site) load(ctx context.Context, cfg Config, log *history.Log) (*load.Load, error) {
	plan := load.Config{
		Seed: cfg.Seed, Rate: cfg.Rate, Log: log, Through: s.through, Aside: aside,
		MQTT: load.MQTT{URL: "tcp://" + s.Broker.MQTTAddress(), User: s.Broker.User(), Password: s.Broker.Password()},
	}
	for _, p := range s.parts {
		switch p.program {
		case services.API:
			address, err := s.front(ctx, p.name)
			if err != nil {
				return nil, err
			}
			plan.APIs = append(plan.APIs, "http://"+address)
		case services.Pusher:
			plan.Pushers = append(plan.Pushers, "ws://"+s.Service(p.name).Public)
		}
	}
	plan.Pushers = append(plan.Pushers, "ws://"+s.Service(s.morePusher.name).Public) // there for a while only
	for i := range tenants {
		tenant := load.Tenant{Name: tenantName(i), Keys: map[string]string{}, Agent: agentName}
		for _, client := range load.Manners() {
			key, err := s.key(ctx, tenant.Name, string(client), "commands:send,replies:read,devices:read,devices:write")
			if err != nil {
				return nil, err
			}
			tenant.Keys[string(client)] = key
		}
		operator, err := s.key(ctx, tenant.Name, "operator", "ops:read,ops:write")
		if err != nil {
			return nil, err
		}
		tenant.Operator = operator
		plan.Tenants = append(plan.Tenants, tenant)
	}
	return load.Start(ctx, plan)
}

func (s *site) key(ctx context.Context, tenant, client, scopes string) (string, error) {
	printed, err := s.CLI(ctx, "keys", "create", "--database", "--tenant", tenant, "--client", client,
		"--scope", scopes, "--output", "json")
	if err != nil {
		return "", err
	}
	var made struct{ Token string }
	if err := json.Unmarshal(printed, &made); err != nil || made.Token == "" {
		return "", fmt.Errorf("keys create printed no token: %w", err)
	}
	return made.Token, nil
}
