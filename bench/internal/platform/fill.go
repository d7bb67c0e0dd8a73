package platform

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// fillStep is how many rows one statement makes.
const fillStep = 100_000

// FillMailboxes puts so many outcomes into the mailboxes of the first clients of the crowd, evenly, as if their commands had been
// answered just now. The nth has the id n, from first on.
func (p *Platform) FillMailboxes(ctx context.Context, first int64, rows, clients int) error {
	const fill = `insert into mailbox (tenant, client, command_id, raw_id, redrive, device, method, lane, origin, reason, accepted_at, decided_at, size, response)
		select $1, 'crowd-' || lpad((n % $4)::text, 5, '0'), gen_random_uuid(), convert_to(n::text, 'UTF8'), 0, 'ledger-0000', 'relay.set', 'default',
			'device', '', now(), now(), octet_length(r), r
		from (select n, convert_to('{"jsonrpc":"2.0","id":' || n || ',"result":{"at":0,"load":[0.12,0.34,0.56]}}', 'UTF8') as r
			from generate_series($2::bigint, $3::bigint) n) as made`
	const count = `insert into mailbox_clients (tenant, client, waiting, bytes)
		select tenant, client, count(*), sum(size) from mailbox where tenant = $1 and acked_at is null group by tenant, client
		on conflict (tenant, client) do update set waiting = excluded.waiting, bytes = excluded.bytes`
	for made := 0; made < rows; made += fillStep {
		last := min(made+fillStep, rows)
		if _, err := p.pool.Exec(ctx, fill, tenant, first+int64(made), first+int64(last)-1, clients); err != nil {
			return fmt.Errorf("fill mailboxes: %w", err)
		}
	}
	if _, err := p.pool.Exec(ctx, count, tenant); err != nil {
		return fmt.Errorf("fill mailboxes: count them: %w", err)
	}
	return p.analyse(ctx, "mailbox", "mailbox_clients")
}

// analyse does what autovacuum does in its own time.
func (p *Platform) analyse(ctx context.Context, tables ...string) error {
	for _, table := range tables {
		if _, err := p.pool.Exec(ctx, "vacuum (analyze) "+pgx.Identifier{table}.Sanitize()); err != nil {
			return fmt.Errorf("analyse %s: %w", table, err)
		}
	}
	return nil
}

// GrownDevices has so many devices of the kind ledger more in the tables, and returns some of them, spread evenly.
func (p *Platform) GrownDevices(ctx context.Context, devices int) ([]string, error) {
	const fill = `insert into devices (tenant, device, type) select $1, 'grown-' || n, 'ledger' from generate_series($2::int, $3::int) n on conflict do nothing`
	if err := p.silently(ctx, func(tx pgx.Tx, from, to int) error {
		_, err := tx.Exec(ctx, fill, tenant, from, to)
		return err
	}, devices); err != nil {
		return nil, fmt.Errorf("make devices: %w", err)
	}
	chosen := make([]string, min(p.cfg.Devices, devices))
	for i := range chosen {
		chosen[i] = fmt.Sprintf("grown-%d", 1+i*devices/len(chosen))
	}
	return chosen, p.analyse(ctx, "devices")
}

// GrownKeys has so many keys more in the tables, of clients that never come.
func (p *Platform) GrownKeys(ctx context.Context, keys int) error {
	const fill = `insert into api_keys (tenant, key_id, client, name, hash, scopes)
		select $1, 'grown' || n, 'grown-' || n, 'bench', sha256(n::text::bytea), '{replies:read}' from generate_series($2::int, $3::int) n on conflict do nothing`
	if err := p.silently(ctx, func(tx pgx.Tx, from, to int) error {
		_, err := tx.Exec(ctx, fill, tenant, from, to)
		return err
	}, keys); err != nil {
		return fmt.Errorf("make keys: %w", err)
	}
	return p.analyse(ctx, "api_keys")
}

// silently writes rows without the triggers that would tell every process of every row: what is measured is a table that has
// grown, not its growing.
func (p *Platform) silently(ctx context.Context, write func(tx pgx.Tx, from, to int) error, rows int) error {
	for made := 0; made < rows; made += fillStep {
		err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "set local session_replication_role = replica"); err != nil {
				return err
			}
			return write(tx, made+1, min(made+fillStep, rows))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
