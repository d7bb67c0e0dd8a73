package desk

import (
	"context"
	"fmt"

	"github.com/cupline/cupline/chassis/postgres"
)

// Tenant whose letters are asked for. Others have some, too.
const Tenant = "acme"

// lettersSQL makes letters $1 to $2 of $4, of tenant $3: over 30 days, in the order of time, as the recorder writes them, and
// the same ones each time but for the time they end at. A fifth die in one outage of two hours, 20 days ago, half of
// these of one device; a tenth more than evenly in the last day. Half of all are of one client, the others of 5,000; there are
// 20,000 devices, 20 methods, and 4 ways in which each reason is told. "expired" never meets one method.
const lettersSQL = `
with n as (select n, n::float8 / $4 as p, abs(hashint4(n)::bigint) as a, abs(hashint4(n + 10000019)::bigint) as b, abs(hashint4(n + 20000003)::bigint) as c
	from generate_series($1::int, $2::int) n),
made as (select *, p between 0.2333 and 0.4333 as outage,
		case when p < 0.2333 then 30 * 86400 - p / 0.2333 * 10 * 86400
			when p < 0.4333 then 20 * 86400 - (p - 0.2333) / 0.2 * 7200
			when p < 0.8767 then 20 * 86400 - 7200 - (p - 0.4333) / 0.4434 * (19 * 86400 - 7200)
			else 86400 * (1 - (p - 0.8767) / 0.1233) end as age,
		'type-' || b / 7 % 5 as type, c % 5 as why, md5('cupline ' || $3 || n)::uuid as u
	from n),
named as (select *, type || '.method-' || a / 11 % 4 as method from made),
whole as (select *, case when outage then 'device_offline'
		else (array['expired', 'no_answer', 'device_offline', 'worker_lost', 'bad_answer'])
			[1 + case when method = 'type-3.method-1' and why = 0 then 1 else why end] end as reason
	from named)
insert into dead_letters (tenant, letter_id, identity, command_id, client, device, device_type, method, lane, id, redrive, reason,
	executed, detail, state, payload, properties, headers, deaths, digest, died_at)
select $3, u, uuid_send(u), u, 'client-' || case when c % 2 = 0 then 0 else c / 2 % 5000 end,
	case when outage and b % 2 = 0 then 'device-poison' else 'device-' || a / 13 % 20000 end, type, method,
	case type when 'type-4' then 'slow' else 'default' end, convert_to('"c-' || n || '"', 'UTF8'), 0, reason,
	case when reason in ('expired', 'device_offline') then 'no' else 'maybe' end,
	(array['attempt ' || n || ' failed', 'waited ' || n || ' ms', 'link "' || n || '" is down', 'no word'])[1 + b % 4],
	case when age < 86400 or c % 10 < 3 then 'open' when c % 10 = 3 then 'discarded' else 'redriven' end,
	convert_to('{"jsonrpc":"2.0","id":"c-' || n || '","method":"' || method || '","params":{"on":true,"order":"order-' || a || '","note":"' || md5(n::text) || '"}}', 'UTF8'),
	'{"content_type":"application/json","delivery_mode":2}', '{"cupline-tenant":"acme","cupline-client":"web"}', '[]', '',
	now() - age * interval '1 second'
from whole`

// batch is how many letters one statement makes.
const batch = 20_000

// Fill makes that many letters of Tenant, and a hundredth of that for another, unless they are there already. The
// counts are added up, and the tables are analysed as autovacuum would.
func Fill(ctx context.Context, pool *postgres.Pool, letters int, say func(format string, values ...any)) error {
	for tenant, want := range map[string]int{Tenant: letters, "other": letters / 100} {
		var have int
		if err := pool.QueryRow(ctx, `select count(*) from dead_letters where tenant = $1`, tenant).Scan(&have); err != nil {
			return fmt.Errorf("count the letters: %w", err)
		}
		if have > 0 && have < want {
			return fmt.Errorf("the database has %d letters of %s already, which is neither none nor %d", have, tenant, want)
		}
		for made := have; made < want; made += batch {
			last := min(made+batch, want)
			if _, err := pool.Exec(ctx, lettersSQL, made+1, last, tenant, want); err != nil {
				return fmt.Errorf("make letters: %w", err)
			}
			if made/batch%10 == 0 {
				say("%d letters of %s", last, tenant)
			}
		}
	}
	return settleDown(ctx, pool)
}
