package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// Act is who does something to letters, and why.
type Act struct {
	Actor  string
	Reason string
	// JobID of the job on whose behalf; uuid.Nil for an operator's own hand.
	JobID uuid.UUID
}

// StateError says that a letter is not in the state that an action needs: somebody was there before.
type StateError struct{ Letter Letter }

func (e *StateError) Error() string {
	return fmt.Sprintf("the letter is %s since %s, by %s", e.Letter.State, e.Letter.Changed.Format(time.RFC3339), e.Letter.ChangedBy)
}

// Plan is all that the envelope of a redrive needs beside the letter. It is kept with the
// letter, so that the same command is published again after a restart.
type Plan struct {
	CommandID  uuid.UUID     `json:"command_id"`
	Lane       string        `json:"lane"`
	DeviceType string        `json:"device_type"`
	Driver     string        `json:"driver"`
	Idempotent bool          `json:"idempotent"`
	Unledgered bool          `json:"unledgered"`
	Timeout    time.Duration `json:"timeout"`
	TTL        time.Duration `json:"ttl"`
	// Edited is the request with other params than the letter's; nil for the letter's own.
	Edited []byte `json:"-"`
	// Change says for the audit trail what was edited; empty for nothing.
	Change string `json:"-"`
}

// Lasts is how long the command may wait and then run.
func (p *Plan) Lasts() time.Duration { return p.TTL + p.Timeout }

func (p *Plan) detail(number int) string {
	text := fmt.Sprintf("as command %s, redrive %d", p.CommandID, number)
	if p.Change != "" {
		text += "; edited: " + p.Change
	}
	return text
}

// Redrive is one under way.
type Redrive struct {
	Plan
	// Number is the command's redrive number, from 1.
	Number int
	// Letter without Deaths, Outcome and Properties.
	Letter Letter
	// leased tells this holder's lease from that of whoever takes it up later.
	leased time.Time
}

// Body is the request as it is sent.
func (r *Redrive) Body() []byte {
	if r.Edited != nil {
		return r.Edited
	}
	return r.Letter.Payload
}

// Lease is how long a redrive under way belongs to whoever began it, or took it up; after
// that another may take it up.
const Lease = 30 * time.Second

const (
	changed = `changed_at = clock_timestamp(), changed_by = $3, changed_why = $4`

	// The number is one past every redrive of the same id, be it in the ledger or under way.
	beginSQL = `update dead_letters d set state = 'redriving', ` + changed + `, job_id = $5, redriven_as = $6, plan = $7,
		redrive_key = $8, edited = $10, leased_until = clock_timestamp() + $9::interval, redrive_number = 1 + greatest(d.redrive,
			(select max(o.redrive_number) from dead_letters o where o.tenant = $1 and o.client = d.client and o.redrive_key = $8),
			(select max(l.redrive) from ledger l where l.tenant = $1 and l.client = d.client and l.id = $8))
		where tenant = $1 and letter_id = $2 and state = 'open' returning ` + summaryColumns + `, payload, headers, leased_until`

	confirmSQL = `update dead_letters set state = 'redriven', leased_until = null, changed_at = clock_timestamp()
		where tenant = $1 and letter_id = $2 and state = 'redriving' and redriven_as = $3 returning ` + summaryColumns

	revertSQL = `update dead_letters set state = 'open', leased_until = null, changed_at = clock_timestamp(), redriven_as = null,
		plan = null, edited = null, redrive_key = null, redrive_number = null
		where tenant = $1 and letter_id = $2 and state = 'redriving' and redriven_as = $3 and leased_until = $4
		returning ` + summaryColumns

	takeUpSQL = `update dead_letters set leased_until = clock_timestamp() + $1::interval
		where ctid = any(array(select ctid from dead_letters where state = 'redriving' and leased_until < clock_timestamp()
			order by leased_until limit $2 for update skip locked))
		returning ` + summaryColumns + `, payload, headers, plan, edited`
)

// Begin takes an open letter for a redrive and commits to its command: from here on it is
// this one or none. key is the ledger's key of the client's id; nil for a one-way command. ErrNotFound,
// or a *StateError when the letter is not open.
func (s *Store) Begin(ctx context.Context, tenant string, letterID uuid.UUID, act Act, plan Plan, key []byte) (Redrive, error) {
	content, err := json.Marshal(plan)
	if err != nil {
		return Redrive{}, fmt.Errorf("write a redrive's plan: %w", err)
	}
	r := Redrive{Plan: plan}
	for try := 0; ; try++ {
		err = s.change(ctx, tenant, letterID, func(tx pgx.Tx) (audit.Entry, error) {
			r.Letter = Letter{}
			row := tx.QueryRow(ctx, beginSQL, tenant, [16]byte(letterID), act.actor(), act.why(), zeronull.UUID(act.JobID),
				[16]byte(plan.CommandID), content, key, Lease, plan.Edited)
			if err := r.Letter.scan(row, &r.Letter.Payload, &r.Letter.Headers, &r.leased); err != nil {
				return audit.Entry{}, err
			}
			return entry(&r.Letter, "redrive", act, plan.detail(r.Letter.RedriveNumber)), nil
		})
		var refused *pgconn.PgError
		// Another letter of the same id took the number in the same moment.
		if try < maxTries && errors.As(err, &refused) && refused.ConstraintName == "dead_letters_redrive" {
			continue
		}
		r.Number = r.Letter.RedriveNumber
		return r, err
	}
}

// Confirm says that the redrive's command is safe in the broker. Confirming again changes nothing.
func (s *Store) Confirm(ctx context.Context, r *Redrive) error {
	return s.end(ctx, confirmSQL, r, "redriven", "the broker has command "+r.CommandID.String())
}

// Revert gives a letter back that Begin took: it is known that no queue has the redrive's command.
// Once somebody else has taken it up that is no longer known, and nothing is changed.
func (s *Store) Revert(ctx context.Context, r *Redrive, why string) error {
	return s.end(ctx, revertSQL, r, "redrive_refused", why, r.leased)
}

func (s *Store) end(ctx context.Context, query string, r *Redrive, action, detail string, more ...any) error {
	err := s.change(ctx, r.Letter.Tenant, r.Letter.LetterID, func(tx pgx.Tx) (audit.Entry, error) {
		var l Letter
		args := append([]any{r.Letter.Tenant, [16]byte(r.Letter.LetterID), [16]byte(r.CommandID)}, more...)
		if err := l.scan(tx.QueryRow(ctx, query, args...)); err != nil {
			return audit.Entry{}, err
		}
		return entry(&l, action, Act{Actor: r.Letter.ChangedBy, Reason: r.Letter.ChangedWhy}, detail), nil
	})
	var state *StateError
	if errors.As(err, &state) {
		return nil // done before, by whoever else took it up
	}
	return err
}

// TakeUp leases up to limit redrives whose holder has not finished them in time.
func (s *Store) TakeUp(ctx context.Context, limit int) ([]Redrive, error) {
	rows, err := s.pool.Query(store.ForEveryTenant(ctx), takeUpSQL, Lease, limit)
	if err != nil {
		return nil, store.Fault("take up redrives", err)
	}
	redrives, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Redrive, err error) {
		var plan, edited []byte
		if err := r.Letter.scan(row, &r.Letter.Payload, &r.Letter.Headers, &plan, &edited); err != nil {
			return r, err
		}
		r.Number = r.Letter.RedriveNumber
		err = json.Unmarshal(plan, &r.Plan)
		r.Edited = edited
		return r, err
	})
	return redrives, store.Fault("take up redrives", err)
}

// change runs one change and the entry that tells of it in one transaction.
func (s *Store) change(ctx context.Context, tenant string, letterID uuid.UUID, do func(tx pgx.Tx) (audit.Entry, error)) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		e, err := do(tx)
		if err != nil {
			return err
		}
		var trail pgx.Batch
		audit.Queue(&trail, e)
		return tx.SendBatch(ctx, &trail).Close()
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return store.Fault("change a dead letter", err)
	}
	there, err := s.Get(ctx, tenant, letterID)
	if err != nil {
		return err
	}
	return &StateError{Letter: there}
}

func (a *Act) actor() string { return audit.Text(a.Actor, maxText) }

func (a *Act) why() string { return audit.Text(a.Reason, audit.MaxDetail) }

// entry is the line of the audit trail about an operator's action. Its ID holds the id as the client wrote it.
func entry(l *Letter, action string, act Act, detail string) audit.Entry {
	text := act.Reason
	if detail != "" {
		text += "; " + detail
	}
	return audit.Entry{
		Tenant: l.Tenant, Stage: audit.StageOperator, Action: action, Actor: act.Actor, Reason: l.Reason, Client: l.Client,
		ID: l.ID, CommandID: l.CommandID, Device: l.Device, DeviceType: l.DeviceType, Method: l.Method, Lane: l.Lane,
		Detail: "letter " + l.LetterID.String() + ": " + text,
	}
}
