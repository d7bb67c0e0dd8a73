package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/bench/internal/load"
)

// newSQL finds what was stored for each client behind the place up to which it was read. A client's outcomes are committed in
// the order of seq, so nothing comes in behind. The index on who waits serves it.
const newSQL = `select m.client, m.seq, m.raw_id, m.response
	from unnest($2::text[], $3::bigint[]) as c(client, seq)
	cross join lateral (select client, seq, raw_id, response from mailbox
		where tenant = $1 and client = c.client and acked_at is null and seq > c.seq order by seq limit 1000) as m`

// Inbox reads the clients' mailboxes where they are kept. It is a load.Inbox, for one goroutine.
type Inbox struct {
	platform *Platform
	clients  []string
	seqs     []int64
	places   map[string]int
}

// Inbox of all clients, from its beginning.
func (p *Platform) Inbox() *Inbox {
	i := &Inbox{platform: p, places: map[string]int{}}
	for n, client := range p.Clients {
		i.clients, i.seqs = append(i.clients, client.ID), append(i.seqs, 0)
		i.places[client.ID] = n
	}
	return i
}

// New is what came since it was asked last.
func (i *Inbox) New(ctx context.Context) ([]load.Stored, error) {
	rows, err := i.platform.pool.Query(ctx, newSQL, tenant, i.clients, i.seqs)
	if err != nil {
		return nil, fmt.Errorf("read mailboxes: %w", err)
	}
	return pgx.CollectRows(rows, i.stored)
}

func (i *Inbox) stored(row pgx.CollectableRow) (load.Stored, error) {
	var (
		one          load.Stored
		seq          int64
		id, response []byte
	)
	if err := row.Scan(&one.Client, &seq, &id, &response); err != nil {
		return one, err
	}
	i.seqs[i.places[one.Client]] = seq
	var said struct {
		ID    json.RawMessage `json:"id"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(response, &said); err != nil {
		return one, fmt.Errorf("read a stored response: %w", err)
	}
	if len(said.Error) > 0 {
		one.Reason = string(said.Error)
	}
	one.ID, one.ResponseID = number(id), number(said.ID)
	return one, nil
}

// number is an id of the load's; -1 for another's.
func number(id []byte) int64 {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(id)), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Empty takes everything out of the mailboxes, as if it had been fetched: what a run left there on purpose is not the next one's. What is
// being stored meanwhile stays or goes as a whole: the counts are locked before the rows, as the platform does it, since rows that are not
// counted would wait for ever.
func (p *Platform) Empty(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		for _, statement := range []string{
			`update mailbox_clients set waiting = 0, bytes = 0, "full" = false where tenant = $1`,
			`delete from mailbox where tenant = $1`,
		} {
			if _, err := tx.Exec(ctx, statement, tenant); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("empty the mailboxes: %w", err)
	}
	return nil
}
