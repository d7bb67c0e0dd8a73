package ledger

import (
	"context"
	"time"

	"github.com/cupline/cupline/store"
)

const eraseSQL = `with gone as (delete from ledger where ctid = any(array(select ctid from ledger
		where tenant = $1 and ($2 = '' or client = $2) and accepted_at <= $3 and decided_at is not null limit $4))
		and decided_at is not null returning 1)
	select (select count(*) from gone), exists (select from ledger
		where tenant = $1 and ($2 = '' or client = $2) and accepted_at <= $3 and decided_at is null)`

// Erase deletes up to limit decided rows of a client, or with an empty client of the whole tenant, that were accepted until then, whatever
// their retention. Nothing may come out of a queue any more that they are needed for: Floor of store/retention. It returns how many, and
// whether there are open rows, which stay.
func (r *Reader) Erase(ctx context.Context, tenant, client string, until time.Time, limit int) (gone int64, open bool, err error) {
	err = r.pool.QueryRow(ctx, eraseSQL, tenant, client, until, limit).Scan(&gone, &open)
	return gone, open, store.Fault("erase rows of the ledger", err)
}
