package mailbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
)

// Erase deletes outcomes of a client, or with an empty client of the whole tenant, that were stored before that time: up to limit
// that wait, of each of at most limit clients, which are counted as missed, and up to limit that were acked. It returns how many.
func (s *Store) Erase(ctx context.Context, tenant, client string, before time.Time, limit int) (erased int64, err error) {
	rows, err := s.pool.Query(ctx, `select distinct client from (select client from mailbox where tenant = $1 and ($2 = '' or client = $2)
		and acked_at is null and stored_at < $3 limit $4) as waiting`, tenant, client, before, limit)
	if err != nil {
		return 0, store.Fault("erase outcomes", err)
	}
	clients, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, store.Fault("erase outcomes", err)
	}
	for _, one := range clients {
		n, err := s.expire(ctx, box{tenant, one}, before, limit, "erased")
		erased += n
		if err != nil {
			return erased, store.Fault("erase outcomes", err)
		}
	}
	tag, err := s.pool.Exec(ctx, `delete from mailbox where ctid = any(array(select ctid from mailbox
		where tenant = $1 and ($2 = '' or client = $2) and acked_at is not null and stored_at < $3 limit $4 for update skip locked))`,
		tenant, client, before, limit)
	return erased + tag.RowsAffected(), store.Fault("erase outcomes", err)
}
