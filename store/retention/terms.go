// Package retention keeps for how long each tenant's things are kept.
package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// Terms are for how long what has ended is kept, in whole seconds. Zero is as for topology.SystemTenant, whose
// terms are the platform's, and where those are zero as Default says.
type Terms struct {
	// Letters that were redriven or discarded, and jobs that ended. Open letters stay.
	Letters time.Duration
	// Audit is the trail's.
	Audit time.Duration
	// Ledger is the decided commands'. It is at least Floor. Open ones stay.
	Ledger time.Duration
	// Mailbox is that of outcomes which nobody fetched.
	Mailbox time.Duration
}

// Default terms.
func Default() Terms {
	const day = 24 * time.Hour
	return Terms{Letters: 30 * day, Audit: 90 * day, Ledger: day, Mailbox: 7 * day}
}

// Limits of each term.
const (
	// Least is what a discard can be undone in, and the shortest that the database lets the audit trail be.
	Least = 24 * time.Hour
	// LeastMailbox is for outcomes, of which clients may want to be rid sooner.
	LeastMailbox = time.Minute
	// Most is 10 years.
	Most = 10 * 365 * 24 * time.Hour
)

// margin is what a command may take past its time in the queue: its method's timeout, and the broker's for an ack.
const margin = time.Hour

// Floor is the least time for which decided commands are kept: as long as a copy of one may come out of a lane, so that
// it is not run again.
func Floor(lanes []topology.Lane) time.Duration {
	longest := time.Duration(0)
	for _, lane := range lanes {
		longest = max(longest, lane.MaxTTL)
	}
	return longest + margin
}

// TermError says that a term is out of its limits.
type TermError struct {
	Term        string
	Least, Most time.Duration
}

func (e *TermError) Error() string {
	return fmt.Sprintf("%s must be %s to %s, in whole seconds", e.Term, e.Least, e.Most)
}

// Check returns a *TermError for each term that is neither zero nor within its limits, joined.
func (t Terms) Check() error {
	var problems []error
	for _, one := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{{"letters", t.Letters, Least}, {"audit", t.Audit, Least}, {"ledger", t.Ledger, margin}, {"mailbox", t.Mailbox, LeastMailbox}} {
		if one.value != 0 && (one.value < one.least || one.value > Most || one.value%time.Second != 0) {
			problems = append(problems, &TermError{one.name, one.least, Most})
		}
	}
	return errors.Join(problems...)
}

// or fills what is zero from other terms.
func (t Terms) or(other Terms) Terms {
	for _, pair := range []struct{ to, from *time.Duration }{
		{&t.Letters, &other.Letters}, {&t.Audit, &other.Audit}, {&t.Ledger, &other.Ledger}, {&t.Mailbox, &other.Mailbox},
	} {
		if *pair.to == 0 {
			*pair.to = *pair.from
		}
	}
	return t
}

// Store keeps terms. It is safe for concurrent use.
type Store struct{ pool *postgres.Pool }

// New makes a store on the pool.
func New(pool *postgres.Pool) *Store { return &Store{pool: pool} }

const columns = `coalesce(letters, 0), coalesce(audit, 0), coalesce(ledger, 0), coalesce(mailbox, 0)`

// Get returns a tenant's own terms, and those in force for it.
func (s *Store) Get(ctx context.Context, tenant string) (own, inForce Terms, err error) {
	rows, err := s.pool.Query(ctx, `select tenant, `+columns+` from retention where tenant in ($1, $2)`, tenant, topology.SystemTenant)
	if err != nil {
		return own, inForce, store.Fault("read the terms of retention", err)
	}
	known, err := read(rows)
	if err != nil {
		return own, inForce, store.Fault("read the terms of retention", err)
	}
	own = known[tenant]
	return own, own.or(known[topology.SystemTenant]).or(Default()), nil
}

// All returns the terms in force for every tenant.
func (s *Store) All(ctx context.Context) (map[string]Terms, error) {
	rows, err := s.pool.Query(ctx, `select tenant, `+columns+` from tenants left join retention using (tenant)`)
	if err != nil {
		return nil, store.Fault("read the terms of retention", err)
	}
	known, err := read(rows)
	if err != nil {
		return nil, store.Fault("read the terms of retention", err)
	}
	platform := known[topology.SystemTenant].or(Default())
	for tenant, own := range known {
		known[tenant] = own.or(platform)
	}
	return known, nil
}

func read(rows pgx.Rows) (map[string]Terms, error) {
	known := map[string]Terms{}
	var tenant string
	var seconds [4]int64
	_, err := pgx.ForEachRow(rows, []any{&tenant, &seconds[0], &seconds[1], &seconds[2], &seconds[3]}, func() error {
		of := func(i int) time.Duration { return time.Duration(seconds[i]) * time.Second }
		known[tenant] = Terms{of(0), of(1), of(2), of(3)}
		return nil
	})
	return known, err
}

// Put sets a tenant's own terms, all of them, and notes in the audit trail who did it. They must pass Check.
func (s *Store) Put(ctx context.Context, tenant string, own Terms, actor, reason string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		seconds := func(d time.Duration) *int64 {
			if d == 0 {
				return nil
			}
			n := int64(d / time.Second)
			return &n
		}
		var batch pgx.Batch
		batch.Queue(`insert into retention (tenant, letters, audit, ledger, mailbox, updated_by) values ($1, $2, $3, $4, $5, $6)
			on conflict (tenant) do update set letters = excluded.letters, audit = excluded.audit, ledger = excluded.ledger,
			mailbox = excluded.mailbox, updated_by = excluded.updated_by, updated_at = now()`,
			tenant, seconds(own.Letters), seconds(own.Audit), seconds(own.Ledger), seconds(own.Mailbox), actor)
		audit.Queue(&batch, audit.Entry{
			Tenant: tenant, Stage: audit.StageOperator, Action: "retention_set", Actor: actor,
			Detail: fmt.Sprintf("%s; letters %s, audit %s, ledger %s, mailbox %s (0s: as the platform)", reason, own.Letters, own.Audit, own.Ledger, own.Mailbox),
		})
		return tx.SendBatch(ctx, &batch).Close()
	})
	return store.Fault("set the terms of retention", err)
}
