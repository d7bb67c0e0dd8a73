package up

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/cli/internal/demo"
	"github.com/cupline/cupline/store/identity"
)

// prepareDemo makes the demo's tenant, key, type and device; what is there stays.
func (s *stage) prepareDemo(ctx context.Context) error {
	pool, err := postgres.Open(ctx, postgres.Config{URL: s.access.Database, MaxConns: 2, ApplicationName: "cupline up"})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := demo.Prepare(ctx, pool); err != nil {
		return err
	}
	if s.access.Key, err = s.demoKey(ctx, identity.New(pool)); err != nil {
		return err
	}
	return s.admitAgent(ctx, pool)
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
		Tenant: demo.Tenant, Client: demo.Client, Name: "made by cupline up",
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

  or in a browser, with the key that %[1]s has:

    %[5]s/console

  Ctrl-C stops everything; the data stays in %[4]s until: make reset

`, filepath.Join(s.folder, "cupline.env"), cli, demo.Device, s.folder, s.access.API))
}
