package mailbox

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/changes"
	"github.com/cupline/cupline/store/internal/session"
)

const (
	openSQL = `insert into mailbox_clients (tenant, client) values ($1, $2) on conflict (tenant, client) do nothing`

	// known is null where nothing is stored, else whether it was refused for the quota.
	knownSQL = `select m.missed, exists (select from ledger l where l.command_id = $3 and l.tenant is not distinct from $1
			and l.client is not distinct from $2 and l.delivered_at is not null)
		from (select) as one left join mailbox m on m.tenant = $1 and m.client = $2 and m.command_id = $3`

	// An item over quota leaves a row without its response, so that it is counted once however often it comes.
	putSQL = `insert into mailbox (tenant, client, command_id, raw_id, redrive, device, method, lane, origin, reason,
			accepted_at, decided_at, size, response, missed, acked_at, trace)
		values ($1, $2, $3, $4, $5::bigint::integer, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, case when $15 then clock_timestamp() end, $16)`

	notifySQL = `select pg_notify('` + changes.Mailbox + `', $1)`
	// maxPayload keeps below Postgres' limit of 8,000 bytes for one notification.
	maxPayload = 7900
)

// Put stores items, each once for its command id, and notifies changes.Mailbox once for each
// transaction. Results stand in the order of items. After an error some may be stored:
// calling again with all of them is harmless.
func (s *Store) Put(ctx context.Context, items []Item) ([]PutResult, error) {
	results := make([]PutResult, len(items))
	for from := 0; from < len(items); from += MaxBatch {
		to := min(from+MaxBatch, len(items))
		if err := s.putChunk(ctx, items[from:to], results[from:to]); err != nil {
			return nil, store.Fault("put outcomes into mailboxes", err)
		}
	}
	return results, nil
}

// putChunk stores up to MaxBatch items together, or one by one when the database refuses one of them.
func (s *Store) putChunk(ctx context.Context, items []Item, results []PutResult) error {
	err := retry(func() error { return s.put(ctx, items, results) })
	if !postgres.IsRefusedRow(err) {
		return err
	}
	if len(items) == 1 {
		results[0] = Refused
		return nil
	}
	for i := range items {
		if err := s.putChunk(ctx, items[i:i+1], results[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// put is one transaction in two round trips: lock the counts and look, then write and commit.
func (s *Store) put(ctx context.Context, items []Item, results []PutResult) (err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := session.Acquire(ctx, s.pool.Pool)
	if err != nil {
		return err
	}
	defer conn.Release()
	defer func() {
		if err != nil {
			session.RollBack(ctx, conn)
		}
	}()
	boxes := map[box]*Counts{}
	for i := range items {
		boxes[box{items[i].Tenant, items[i].Client}] = &Counts{}
	}
	var look pgx.Batch
	look.Queue("begin")
	for _, b := range sorted(boxes) {
		look.Queue(openSQL, b.tenant, b.client)
		look.Queue(lockSQL, b.tenant, b.client).QueryRow(func(row pgx.Row) error {
			return row.Scan(&boxes[b].Waiting, &boxes[b].Bytes)
		})
	}
	for i := range items {
		results[i] = 0
		look.Queue(knownSQL, items[i].Tenant, items[i].Client, [16]byte(items[i].CommandID)).QueryRow(results[i].scanKnown)
	}
	if err := conn.SendBatch(ctx, &look).Close(); err != nil {
		return err
	}
	var write pgx.Batch
	s.queueItems(&write, items, results, boxes)
	failpoint.Pass(failpoint.InMailbox)
	write.Queue("commit")
	return conn.SendBatch(ctx, &write).Close()
}

// scanKnown says what an item is without being put; 0 when it has to be.
func (r *PutResult) scanKnown(row pgx.Row) error {
	var missed *bool
	var delivered bool
	if err := row.Scan(&missed, &delivered); err != nil {
		return err
	}
	switch {
	case missed != nil && *missed:
		*r = OverQuota
	case missed != nil:
		*r = Already
	case delivered:
		*r = Delivered
	}
	return nil
}

// queueItems decides about what is not known yet, and writes it.
func (s *Store) queueItems(batch *pgx.Batch, items []Item, results []PutResult, boxes map[box]*Counts) {
	grown := map[box]*Counts{}
	type name struct {
		box
		command uuid.UUID
	}
	seen := map[name]PutResult{}
	for i := range items {
		item, b := &items[i], box{items[i].Tenant, items[i].Client}
		if earlier := seen[name{b, item.CommandID}]; earlier == Stored {
			results[i] = Already
		} else if earlier != 0 {
			results[i] = earlier
		}
		if results[i] != 0 {
			continue
		}
		if grown[b] == nil {
			grown[b] = &Counts{}
		}
		results[i] = s.queueItem(batch, item, boxes[b], grown[b])
		seen[name{b, item.CommandID}] = results[i]
	}
	var woken strings.Builder
	for _, b := range sorted(grown) {
		g := grown[b]
		batch.Queue(countSQL, b.tenant, b.client, g.Waiting, g.Bytes, s.limits.Outcomes, s.limits.Bytes, g.Missed)
		if g.Waiting == 0 {
			continue
		}
		name := b.tenant + "." + b.client
		if woken.Len()+1+len(name) > maxPayload {
			batch.Queue(notifySQL, woken.String())
			woken.Reset()
		}
		if woken.Len() > 0 {
			woken.WriteByte(' ')
		}
		woken.WriteString(name)
	}
	if woken.Len() > 0 {
		batch.Queue(notifySQL, woken.String())
	}
}

// queueItem writes one item, with its response or over quota, and counts it.
func (s *Store) queueItem(batch *pgx.Batch, item *Item, now, grown *Counts) PutResult {
	size := int64(len(item.Response))
	over := now.Waiting+1 > s.limits.Outcomes || now.Bytes+size > s.limits.Bytes
	response, result := item.Response, Stored
	if over {
		response, size, result = nil, 0, OverQuota
		grown.Missed++
		audit.Queue(batch, audit.Entry{
			Tenant: item.Tenant, Stage: audit.StageMailbox, Action: "over_quota", Reason: item.Reason, Client: item.Client,
			ID: item.RawID, CommandID: item.CommandID, Device: item.Device, Method: item.Method, Lane: item.Lane,
		})
	} else {
		now.Waiting, now.Bytes = now.Waiting+1, now.Bytes+size
		grown.Waiting, grown.Bytes = grown.Waiting+1, grown.Bytes+size
	}
	if response == nil {
		response = []byte{}
	}
	batch.Queue(putSQL, item.Tenant, item.Client, [16]byte(item.CommandID), item.RawID, item.Redrive, item.Device, item.Method,
		item.Lane, item.Origin, item.Reason, item.Accepted, item.At, size, response, over, item.Trace)
	return result
}
