package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/internal/session"
	"github.com/cupline/cupline/store/ledger"
)

// Store keeps mailboxes. It is safe for concurrent use.
type Store struct {
	pool   *postgres.Pool
	limits Limits
}

// New makes a store on the pool.
func New(pool *postgres.Pool, limits Limits) *Store {
	return &Store{pool: pool, limits: limits.withDefaults()}
}

const (
	// MaxBatch is the most items or marks that one transaction takes; longer calls use several.
	MaxBatch = 256
	// limit bounds one transaction, so that a dead link is not waited for without end.
	limit = 15 * time.Second
	// maxTries bounds how often a transaction is run that was rolled back for another's sake.
	maxTries = 5
)

// Statements. Those that find rows by command id say it so that no index on who waits serves
// them: planned on a nearly empty table, it would look as good as the primary key.
const (
	lockSQL = `select waiting, bytes from mailbox_clients where tenant = $1 and client = $2 for update`

	// becomes is the value of "full" after the counts grew by $3 and $4 and $7 were missed: from the
	// limits $5 and $6 on, until down to nine tenths of both.
	becomes = `waiting + $3 >= $5 or bytes + $4 >= $6 or $7 > 0 or ("full" and (waiting + $3 > $5 * 9 / 10 or bytes + $4 > $6 * 9 / 10))`

	countSQL = `update mailbox_clients set waiting = waiting + $3, bytes = bytes + $4, "full" = ` + becomes + `, missed = missed + $7
		where tenant = $1 and client = $2`

	ackSQL = `with acked as (
			update mailbox set acked_at = clock_timestamp(), response = ''
			where tenant = $1 and client = $2 and command_id = any($3) and coalesce(acked_at, 'infinity') = 'infinity'
			returning size),
		change as (select -count(*) as waiting, -coalesce(sum(size), 0)::bigint as bytes from acked)
		update mailbox_clients c set waiting = c.waiting + change.waiting, bytes = c.bytes + change.bytes,
			"full" = "full" and (c.waiting + change.waiting > $4::bigint * 9 / 10 or c.bytes + change.bytes > $5::bigint * 9 / 10)
		from change where c.tenant = $1 and c.client = $2 and change.waiting < 0`

	fetchSQL = `select seq, command_id, raw_id, redrive, device, method, lane, origin, reason, accepted_at, decided_at, response, trace
		from (select *, sum(size) over (order by seq) as total from (
			select * from mailbox where tenant = $1 and client = $2 and acked_at is null and seq >= $6
				and command_id not in (select unnest($3::uuid[]))
			order by seq limit $4) as oldest) as summed
		where total <= $5 or total = size order by seq`

	oldestSQL = `select coalesce((select seq from mailbox
		where tenant = $1 and client = $2 and acked_at is null and seq >= $3 order by seq limit 1), 0)`

	// gotSQL leaves word of an outcome that has no row anywhere; put finds it.
	gotSQL = `insert into mailbox (tenant, client, command_id, raw_id, redrive, device, method, lane, origin, reason,
			accepted_at, decided_at, size, response, acked_at)
		select $1, $2, $3::uuid, $4, 0, '', '', '', '', '', clock_timestamp(), clock_timestamp(), 0, '', clock_timestamp()
		where not exists (select from ledger where command_id = $3 and tenant = $1 and client = $2)
		on conflict (tenant, client, command_id) do nothing`

	waitingSQL = `select waiting, bytes, missed from mailbox_clients where tenant = $1 and client = $2`
)

// Fetch returns a client's oldest outcomes that are not acked and not excluded (those in flight
// on a session), up to maxRows of them and maxBytes of responses, but one at least, and how
// many wait in all, the excluded included.
func (s *Store) Fetch(ctx context.Context, tenant, client string, exclude []uuid.UUID, maxRows int, maxBytes int64) (items []Item, waiting int64, err error) {
	items, waiting, _, err = s.FetchFrom(ctx, tenant, client, 0, exclude, maxRows, maxBytes)
	return items, waiting, err
}

// FetchFrom is Fetch that looks at no seq below from. oldest is the seq of the first outcome from there on that is not acked, be it excluded or
// not; 0 for none. Since a client's outcomes are stored in the order of their seq and stay acked once they are, the next look may
// begin there: else it goes through the index's entries of all that was acked before, until a vacuum has taken them away.
func (s *Store) FetchFrom(ctx context.Context, tenant, client string, from int64, exclude []uuid.UUID, maxRows int, maxBytes int64) (items []Item, waiting, oldest int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := session.Acquire(ctx, s.pool.Pool)
	if err != nil {
		return nil, 0, 0, store.Fault("fetch from a mailbox", err)
	}
	defer conn.Release()
	var batch pgx.Batch
	batch.Queue(fetchSQL, tenant, client, plain(exclude), maxRows, maxBytes, from).Query(func(rows pgx.Rows) error {
		items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Item, error) {
			i := Item{Tenant: tenant, Client: client}
			err := row.Scan(&i.Seq, (*[16]byte)(&i.CommandID), &i.RawID, &i.Redrive, &i.Device, &i.Method, &i.Lane,
				&i.Origin, &i.Reason, &i.Accepted, &i.At, &i.Response, &i.Trace)
			i.Accepted, i.At = i.Accepted.UTC(), i.At.UTC()
			return i, err
		})
		return err
	})
	var counts Counts
	batch.Queue(waitingSQL, tenant, client).QueryRow(counts.scan)
	batch.Queue(oldestSQL, tenant, client, from).QueryRow(func(row pgx.Row) error { return row.Scan(&oldest) })
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, 0, 0, store.Fault("fetch from a mailbox", err)
	}
	return items, counts.Waiting, oldest, nil
}

// Counts of a client; all zero for one that never had an outcome here.
func (s *Store) Counts(ctx context.Context, tenant, client string) (Counts, error) {
	var counts Counts
	err := counts.scan(s.pool.QueryRow(ctx, waitingSQL, tenant, client))
	return counts, store.Fault("count a mailbox", err)
}

func (c *Counts) scan(row pgx.Row) error {
	if err := row.Scan(&c.Waiting, &c.Bytes, &c.Missed); !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	return nil
}

// Ack notes that clients have got outcomes, here and in the ledger (delivered). Marks of
// outcomes that are not here still reach the ledger; marks made before do nothing.
func (s *Store) Ack(ctx context.Context, marks []AckMark) error {
	for chunk := range slices.Chunk(marks, MaxBatch) {
		if err := retry(func() error { return s.ack(ctx, chunk) }); err != nil {
			return store.Fault("ack outcomes", err)
		}
	}
	return nil
}

// ack is one transaction in one round trip: first the locks on all counts, then the rows, then
// the ledger's, each in their order.
func (s *Store) ack(ctx context.Context, marks []AckMark) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	marks = slices.Clone(marks)
	slices.SortFunc(marks, func(a, b AckMark) int { return bytes.Compare(a.CommandID[:], b.CommandID[:]) })
	byBox, copies := map[box][][16]byte{}, map[box]bool{}
	for _, m := range marks {
		b := box{m.Tenant, m.Client}
		byBox[b] = append(byBox[b], m.CommandID)
		copies[b] = copies[b] || m.RawID != ""
	}
	boxes := sorted(byBox)
	var batch pgx.Batch
	for _, b := range boxes {
		if copies[b] {
			batch.Queue(openSQL, b.tenant, b.client) // there has to be something to lock
		}
		batch.Queue(lockSQL, b.tenant, b.client)
	}
	for _, b := range boxes {
		batch.Queue(ackSQL, b.tenant, b.client, byBox[b], s.limits.Outcomes, s.limits.Bytes)
	}
	delivered := make([]ledger.DeliveredMark, len(marks))
	for i, m := range marks {
		delivered[i] = ledger.DeliveredMark{Tenant: m.Tenant, Client: m.Client, CommandID: m.CommandID}
	}
	ledger.QueueDelivered(&batch, delivered)
	for _, m := range marks {
		if m.RawID != "" {
			batch.Queue(gotSQL, m.Tenant, m.Client, [16]byte(m.CommandID), []byte(m.RawID))
		}
	}
	conn, err := session.Acquire(ctx, s.pool.Pool)
	if err != nil {
		return err
	}
	defer conn.Release()
	return conn.SendBatch(ctx, &batch).Close()
}

// retry runs a transaction again that was rolled back for another's sake.
func retry(transaction func() error) error {
	for range maxTries {
		if err := transaction(); !postgres.IsRetryable(err) {
			return err
		}
	}
	return fmt.Errorf("rolled back %d times: %w", maxTries, store.ErrUnavailable)
}

// sorted are the boxes in the one order in which all transactions lock their counts.
func sorted[V any](byBox map[box]V) []box {
	boxes := make([]box, 0, len(byBox))
	for b := range byBox {
		boxes = append(boxes, b)
	}
	slices.SortFunc(boxes, compareBoxes)
	return boxes
}

func plain(ids []uuid.UUID) [][16]byte {
	out := make([][16]byte, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}
