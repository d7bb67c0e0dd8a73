package mailbox

import (
	"context"
	"time"

	"github.com/cupline/cupline/store"
)

// Census of all mailboxes together.
type Census struct {
	// Waiting outcomes, and their bytes.
	Waiting, Bytes int64
	// Clients that have any; Full of them are over their quota.
	Clients, Full int64
	// Missed outcomes were refused for a quota, ever.
	Missed int64
	// Oldest is for how long the oldest waiting outcome has waited, in the database's own
	// time; 0 when none does.
	Oldest time.Duration
}

const censusSQL = `select coalesce(sum(waiting), 0)::bigint, coalesce(sum(bytes), 0)::bigint,
		count(*) filter (where waiting > 0), count(*) filter (where "full"), coalesce(sum(missed), 0)::bigint,
		coalesce((select greatest(extract(epoch from now() - stored_at), 0) from mailbox
			where acked_at is null and not missed order by stored_at limit 1), 0)::float8
	from mailbox_clients`

// Census counts over all tenants. It reads one row for each client that ever had a mailbox.
func (s *Store) Census(ctx context.Context) (c Census, err error) {
	var seconds float64
	err = s.pool.QueryRow(store.ForEveryTenant(ctx), censusSQL).Scan(&c.Waiting, &c.Bytes, &c.Clients, &c.Full, &c.Missed, &seconds)
	c.Oldest = time.Duration(seconds * float64(time.Second))
	return c, store.Fault("count mailboxes", err)
}
