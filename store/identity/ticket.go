package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
)

const (
	// ticketPrefix tells a ticket from a key.
	ticketPrefix = "cut_"
	// TicketLife is how long a ticket is good: for one connection attempt.
	TicketLife = 30 * time.Second
	// sweepTickets is the most that one issue clears away of those that nobody has used in time.
	sweepTickets = 100
)

// IsTicket reports whether a text has the form of a ticket.
func IsTicket(token string) bool {
	secret, found := strings.CutPrefix(token, ticketPrefix)
	return found && len(secret) == secretLength
}

// IssueTicket makes a ticket that stands for p, with these of its scopes, once and within TicketLife.
func (s *Store) IssueTicket(ctx context.Context, p Principal, scopes []string) (ticket string, goodUntil time.Time, err error) {
	_, secret := newToken()
	digest := hash(secret)
	pattern, labels, err := reachColumns(p.Reach)
	if err != nil {
		return "", time.Time{}, err
	}
	var batch pgx.Batch
	batch.Queue(`delete from tickets where ctid = any(array(select ctid from tickets where good_until < clock_timestamp() limit $1))`, sweepTickets)
	batch.Queue(`insert into tickets (tenant, hash, client, key_id, scopes, device_pattern, device_labels, expires_at, good_until)
		values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9::interval) returning good_until`,
		p.Tenant, digest[:], p.Client, p.KeyID, scopes, pattern, labels, zeronull.Timestamptz(p.Expires), TicketLife,
	).QueryRow(func(row pgx.Row) error { return row.Scan(&goodUntil) })
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return "", time.Time{}, store.Fault("issue a ticket", err)
	}
	return ticketPrefix + secret, goodUntil.UTC(), nil
}

// redeem uses a ticket up: ErrUnknown when there is none, because it was used, or its time is over.
func (s *Store) redeem(ctx context.Context, ticket string) (p Principal, err error) {
	digest := hash(strings.TrimPrefix(ticket, ticketPrefix))
	var labels []byte
	var good bool
	err = s.pool.QueryRow(store.ForEveryTenant(ctx), `delete from tickets where hash = $1 returning tenant, client, key_id, scopes,
		device_pattern, device_labels, expires_at, good_until > clock_timestamp()`, digest[:]).Scan(
		&p.Tenant, &p.Client, &p.KeyID, &p.Scopes, &p.Reach.Pattern, &labels, (*zeronull.Timestamptz)(&p.Expires), &good)
	switch {
	case errors.Is(err, pgx.ErrNoRows) || err == nil && !good:
		return Principal{}, ErrUnknown
	case err != nil:
		return Principal{}, store.Fault("redeem a ticket", err)
	}
	if labels != nil {
		if err := json.Unmarshal(labels, &p.Reach.Labels); err != nil {
			return Principal{}, fmt.Errorf("labels of a ticket's devices: %w", err)
		}
	}
	p.Expires = p.Expires.UTC()
	return p, nil
}
