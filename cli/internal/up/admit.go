package up

import (
	"context"
	"net/url"
	"path/filepath"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/cli/internal/demo"
)

// admitAgent gives the agent a credential of its device, new each time.
func (s *stage) admitAgent(ctx context.Context, pool *postgres.Pool) error {
	if s.broker == nil {
		if s.access.MQTT == "" {
			s.progress.line("no agent: set %s to have one on your broker", externalMQTT)
		}
		return nil
	}
	password, err := demo.Admit(ctx, pool)
	if err != nil {
		return err
	}
	address := url.URL{Scheme: "tcp", User: url.UserPassword(demo.Login(), password), Host: s.broker.MQTTAddress()}
	s.access.MQTT = address.String()
	return nil
}

// agentEnvironment is what the agent gets beside the others' environment.
func (s *stage) agentEnvironment() map[string]string {
	address, err := url.Parse(s.access.MQTT)
	if err != nil {
		address = &url.URL{Host: s.access.MQTT}
	}
	password, _ := address.User.Password()
	env := map[string]string{
		"CUPLINE_MQTT_USERNAME": address.User.Username(),
		"CUPLINE_MQTT_PASSWORD": password,
		"CUPLINE_TENANT":        demo.Tenant,
		"CUPLINE_DEVICE":        demo.Device,
		"CUPLINE_AGENT_STATE":   filepath.Join(s.folder, "agent"),
	}
	address.User = nil
	env["CUPLINE_MQTT_URL"] = address.String()
	return env
}
