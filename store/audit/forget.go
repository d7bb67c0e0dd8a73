package audit

import (
	"context"
	"time"

	"github.com/cupline/cupline/store"
)

// Forget deletes up to limit entries of a tenant that are older than that time, and returns how many. The database lets the
// janitor's role alone do so, by a function that never touches what is younger than a day.
func (t *Trail) Forget(ctx context.Context, tenant string, before time.Time, limit int) (gone int64, err error) {
	err = t.pool.QueryRow(ctx, `select forget_audit($1, $2, $3)`, tenant, before, limit).Scan(&gone)
	return gone, store.Fault("forget entries of the audit trail", err)
}
