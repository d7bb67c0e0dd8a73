package runbook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/jackc/pgx/v5"
)

// publish puts a message into the broker as its administrator.
func (s *shift) publish(ctx context.Context, exchange, key, payload string) error {
	body, err := json.Marshal(map[string]any{"routing_key": key, "payload": payload, "payload_encoding": "string", "properties": map[string]any{}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.site.Broker.ManagementURL()+"/api/exchanges/%2F/"+exchange+"/publish", bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if said, err := io.ReadAll(answer.Body); err != nil || !bytes.Contains(said, []byte(`"routed":true`)) {
		return fmt.Errorf("publish to %s: %s %s, %w", exchange, answer.Status, said, err)
	}
	return nil
}

// open settles a command that was started two hours ago, and whose message the broker has lost: only its row of the ledger is left.
func (s *shift) open(ctx context.Context) error {
	owner, err := pgx.Connect(ctx, s.site.Database.URL())
	if err != nil {
		return err
	}
	defer owner.Close(ctx)
	var command string
	err = owner.QueryRow(ctx, `insert into ledger (tenant, client, id, redrive, command_id, token, digest, raw_id, device, device_type, method, lane, timeout_ms,
		idempotent, one_way, accepted_at, deadline_at, created_at, started_at) select 'shop', 'web', 's:order-9', 0, gen_random_uuid(), gen_random_uuid(),
		sha256(''), '"order-9"', 'lamp-1', 'lamp', 'relay.set', 'default', 2000, false, false, at, at + interval '10 minutes', now(), at
		from (select now() - interval '2 hours' as at) as t returning command_id::text`).Scan(&command)
	if err != nil {
		return fmt.Errorf("leave a command open: %w", err)
	}
	return plays(
		func() error { return s.types(ctx, "cupline commands open") },
		func() error {
			return s.types(ctx, fmt.Sprintf(`cupline commands settle %s --reason "the broker's data were lost"`, command))
		},
		func() error { return s.sees(ctx, "cupline history "+command, words("stored_in_mailbox")) },
	)
}
