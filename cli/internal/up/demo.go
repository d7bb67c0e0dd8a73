package up

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/registry"
)

// The demo's names.
const (
	demoTenant = "demo"
	demoClient = "me"
	demoDevice = "host"
	demoType   = "linux-host"
)

// prepareDemo makes the demo's tenant, key, type and device; what is there stays.
func (s *stage) prepareDemo(ctx context.Context) error {
	pool, err := postgres.Open(ctx, postgres.Config{URL: s.access.Database, MaxConns: 2, ApplicationName: "cupline up"})
	if err != nil {
		return err
	}
	defer pool.Close()
	identities, devices := identity.New(pool), registry.New(pool)
	if _, err := identities.PutTenant(ctx, demoTenant, "Demo"); err != nil {
		return fmt.Errorf("make the demo tenant: %w", err)
	}
	if _, err := devices.PutType(ctx, demoDeviceType()); err != nil {
		return fmt.Errorf("make the demo device type: %w", err)
	}
	if _, err := devices.PutDevice(ctx, device.Device{Tenant: demoTenant, ID: demoDevice, Type: demoType}); err != nil {
		return fmt.Errorf("make the demo device: %w", err)
	}
	s.access.Key, err = s.demoKey(ctx, identities)
	return err
}

// demoKey keeps the key of an earlier run while it is good.
func (s *stage) demoKey(ctx context.Context, identities *identity.Store) (string, error) {
	earlier := earlierKey(filepath.Join(s.folder, "cupline.env"))
	if earlier != "" {
		_, err := identity.NewVerifier(identities, identity.VerifierConfig{}).Verify(ctx, earlier)
		if err == nil {
			return earlier, nil
		}
	}
	token, _, err := identities.CreateKey(ctx, identity.NewKey{
		Tenant: demoTenant, Client: demoClient, Name: "made by cupline up",
		Scopes: []string{
			"commands:send", "replies:read", "devices:read", "devices:write",
			"ops:read", "ops:write", "ops:platform", "tenants:admin",
		},
	})
	if err != nil {
		return "", fmt.Errorf("make the demo key: %w", err)
	}
	return token, nil
}

// demoDeviceType describes what the agent can do.
func demoDeviceType() device.Type {
	reading := device.Method{Idempotent: true, Timeout: device.Duration(5 * time.Second)}
	return device.Type{
		Tenant: demoTenant, Name: demoType, Lane: topology.DefaultLane().Name, Driver: "mqtt",
		Methods: map[string]device.Method{
			"host.info": reading,
			"host.load": reading,
			"host.disk": reading,
			"echo":      reading,
			"relay.get": reading,
			"sleep": {
				Idempotent: true, Timeout: device.Duration(time.Minute),
				Params: json.RawMessage(`{"type":"object","required":["seconds"],"properties":{"seconds":{"type":"number","minimum":0,"maximum":50}}}`),
			},
			"relay.set": {
				Timeout: device.Duration(5 * time.Second),
				Params:  json.RawMessage(`{"type":"object","required":["on"],"properties":{"on":{"type":"boolean"}},"additionalProperties":false}`),
			},
		},
	}
}

// tell prints what to try next.
func (s *stage) tell() {
	s.progress.line("Cupline is ready")
	cli := filepath.Join(s.set.Programs, "cupline")
	s.progress.plain(fmt.Sprintf(`
  Try, in a second terminal:

    . %[1]s
    %[2]s send %[3]s host.load --wait
    %[2]s listen

  or by hand:

    curl -sS "$CUPLINE_API_URL/v1/devices/%[3]s/commands" \
      -H "Authorization: Bearer $CUPLINE_KEY" -H 'Content-Type: application/json' \
      -d '{"jsonrpc":"2.0","id":"c-1","method":"relay.set","params":{"on":true}}'

  Ctrl-C stops everything; the data stays in %[4]s until: make reset

`, filepath.Join(s.folder, "cupline.env"), cli, demoDevice, s.folder))
}
