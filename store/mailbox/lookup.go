package mailbox

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
)

// Trace is what the mailbox knows of one outcome.
type Trace struct {
	Stored time.Time
	// Acked is zero while the client has not acked it.
	Acked time.Time
	// Missed outcomes were refused for the quota.
	Missed bool
}

// Lookup tells whether an outcome was ever in a client's mailbox, as far as retention goes back.
func (s *Store) Lookup(ctx context.Context, tenant, client string, commandID uuid.UUID) (t Trace, found bool, err error) {
	err = s.pool.QueryRow(ctx, `select stored_at, acked_at, missed from mailbox
		where tenant = $1 and client = $2 and command_id = $3`, tenant, client, [16]byte(commandID)).
		Scan(&t.Stored, (*zeronull.Timestamptz)(&t.Acked), &t.Missed)
	if errors.Is(err, pgx.ErrNoRows) {
		return Trace{}, false, nil
	}
	t.Stored, t.Acked = t.Stored.UTC(), t.Acked.UTC()
	return t, err == nil, store.Fault("look into a mailbox", err)
}

// Traces are the W3C traceparents, by command id, of those of one client's outcomes that wait and have one. All marks name that
// client.
func (s *Store) Traces(ctx context.Context, marks []AckMark) (map[uuid.UUID]string, error) {
	if len(marks) == 0 {
		return nil, nil
	}
	ids := make([][16]byte, len(marks))
	for i, m := range marks {
		ids[i] = m.CommandID
	}
	tenant, client := marks[0].Tenant, marks[0].Client
	rows, err := s.pool.Query(ctx, `select command_id, trace from mailbox
		where tenant = $1 and client = $2 and command_id = any($3) and trace <> '' and coalesce(acked_at, 'infinity') = 'infinity'`,
		tenant, client, ids)
	if err != nil {
		return nil, store.Fault("look for traces in a mailbox", err)
	}
	found := map[uuid.UUID]string{}
	var id [16]byte
	var trace string
	_, err = pgx.ForEachRow(rows, []any{&id, &trace}, func() error {
		found[id] = trace
		return nil
	})
	return found, store.Fault("look for traces in a mailbox", err)
}
