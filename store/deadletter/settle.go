package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/internal/session"
	"github.com/cupline/cupline/store/ledger"
)

// Resolution is what the caller wants done about a dead command, given what the ledger says.
type Resolution struct {
	// Hold, when positive, means that nothing is written now: come back after that long.
	Hold time.Duration
	// Letter to keep; nil for none. One that is there already, by (tenant, command id) or else by
	// (tenant, digest), is not written again, and Audit neither: they went in together.
	Letter *Letter
	// Audit entries to append.
	Audit []audit.Entry
	// Decide, when not nil, sets the outcome: of the open row of that command id, or, when there was no
	// row, of a new one made of Claim, which then was never started. The key is Settle's.
	Decide *ledger.Decision
	// Claim describes the command for a row that is inserted decided; its key and token do not count.
	Claim ledger.Claim
}

// Settled is what a settlement came to.
type Settled struct {
	// Hold is the Resolution's; when positive nothing was written.
	Hold time.Duration
	// Row as it stands after the settlement; nil when there is none.
	Row *ledger.Row
	// Decided is true when this settlement set the outcome.
	Decided bool
	// LetterID of the letter, new or found; uuid.Nil when there is none.
	LetterID uuid.UUID
	// Again is true when the letter was already there: a redelivery.
	Again bool
	// disowned: there is no tenant of the name that the letter alleged.
	disowned bool
}

// ErrContended says that claims kept coming between the look into the ledger and the
// write. It comes with store.ErrUnavailable: call again.
var ErrContended = errors.New("the ledger row kept changing")

const (
	// settleLimit bounds one settlement, so that a dead link is not waited for without end.
	settleLimit = 15 * time.Second
	// maxTries bounds how often a settlement starts anew for another transaction's sake.
	maxTries = 5
)

// errAnew ends a try: another transaction came in between.
var errAnew = errors.New("start anew")

// Settle ends one command in one transaction: it locks the ledger row of key, asks decide what
// that row means (nil: there is none), and writes the Resolution. decide must be pure: it is
// called again when a claim came in between. An empty key.Tenant or key.ID means a message that names no
// command: there is no row then, and Decide must be nil.
//
// Settle may be called again after any error, and for a message that was settled before.
func (s *Store) Settle(ctx context.Context, key ledger.Key, decide func(row *ledger.Row) Resolution) (Settled, error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	conn, err := session.Acquire(ctx, s.pool.Pool)
	if err != nil {
		return Settled{}, store.Fault("settle a dead letter", err)
	}
	defer conn.Release()
	for range maxTries {
		settled, err := settle(ctx, conn, key, decide)
		switch {
		case err == nil:
			return settled, nil
		case errors.Is(err, errAnew) || postgres.IsRetryable(err):
			continue
		}
		return Settled{}, store.Fault("settle a dead letter", err)
	}
	return Settled{}, fmt.Errorf("settle a dead letter: %w: %w", ErrContended, store.ErrUnavailable)
}

// settle is one try, in three round trips: lock, write what may meet another's write, commit.
func settle(ctx context.Context, conn *pgxpool.Conn, key ledger.Key, decide func(*ledger.Row) Resolution) (settled Settled, err error) {
	defer func() {
		if err != nil || settled.Hold > 0 {
			session.RollBack(ctx, conn)
		}
	}()
	var lock pgx.Batch
	lock.Queue("begin")
	if key.Tenant != "" && len(key.ID) > 0 {
		ledger.QueueLock(&lock, key, func(row *ledger.Row) { settled.Row = row })
	}
	if err := conn.SendBatch(ctx, &lock).Close(); err != nil {
		return Settled{}, fmt.Errorf("lock the ledger row: %w", err)
	}
	resolution := decide(settled.Row)
	if resolution.Hold > 0 {
		settled.Hold = resolution.Hold
		return settled, nil
	}
	if err := settled.write(ctx, conn, key, resolution); err != nil {
		return Settled{}, err
	}
	failpoint.Pass(failpoint.InSettle)
	var rest pgx.Batch
	if settled.disowned {
		for i := range resolution.Audit {
			resolution.Audit[i].Tenant = topology.SystemTenant
		}
	}
	if !settled.Again {
		audit.Queue(&rest, resolution.Audit...)
	}
	rest.Queue("commit")
	if err := conn.SendBatch(ctx, &rest).Close(); err != nil {
		return Settled{}, fmt.Errorf("write the audit trail and commit: %w", err)
	}
	return settled, nil
}

// write does the letter and the ledger.
func (s *Settled) write(ctx context.Context, conn *pgxpool.Conn, key ledger.Key, r Resolution) error {
	var batch pgx.Batch
	came := false
	if r.Letter != nil {
		letter, err := r.Letter.prepared()
		if err != nil {
			return err
		}
		letter.queue(&batch, func(id uuid.UUID, tenant string, again bool) {
			s.LetterID, s.Again = id, again
			s.disowned = tenant != letter.Tenant
		})
	}
	if r.Decide != nil {
		decision := *r.Decide
		decision.Key = key
		if s.Row == nil {
			ledger.QueueSettled(&batch, r.Claim, decision, func(row *ledger.Row) { s.Row, s.Decided, came = row, row != nil, row == nil })
		} else {
			ledger.QueueDecision(&batch, decision, func(row *ledger.Row) {
				if row != nil {
					s.Row, s.Decided = row, true
				}
			})
		}
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("write the letter and the ledger: %w", err)
	}
	if came {
		return errAnew
	}
	return nil
}
