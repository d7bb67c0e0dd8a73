package deadletter

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store/audit"
)

// UndoLimit is how long a discard can be undone.
const UndoLimit = 24 * time.Hour

const (
	discardSQL = `update dead_letters set state = 'discarded', ` + changed + `, job_id = $5
		where tenant = $1 and letter_id = $2 and state = 'open' returning ` + summaryColumns

	// What was erased cannot be acted on any more.
	withinUndo = `changed_at > clock_timestamp() - interval '24 hours' and erased_at is null`

	undoSQL = `update dead_letters set state = 'open', ` + changed + `, job_id = $5
		where tenant = $1 and letter_id = $2 and state = 'discarded' and ` + withinUndo + ` returning ` + summaryColumns
)

// Discard ends an open letter. ErrNotFound, or a *StateError when it is not open.
func (s *Store) Discard(ctx context.Context, tenant string, letterID uuid.UUID, act Act) (Letter, error) {
	var l Letter
	err := s.change(ctx, tenant, letterID, func(tx pgx.Tx) (audit.Entry, error) {
		l = Letter{}
		row := tx.QueryRow(ctx, discardSQL, tenant, [16]byte(letterID), act.actor(), act.why(), zeronull.UUID(act.JobID))
		if err := l.scan(row); err != nil {
			return audit.Entry{}, err
		}
		return entry(&l, "discard", act, ""), nil
	})
	return l, err
}

// Undo opens a discarded letter again, within UndoLimit. ErrNotFound, or a *StateError when it is not discarded,
// was too long ago, or is erased.
func (s *Store) Undo(ctx context.Context, tenant string, letterID uuid.UUID, act Act) (Letter, error) {
	var l Letter
	err := s.change(ctx, tenant, letterID, func(tx pgx.Tx) (audit.Entry, error) {
		l = Letter{}
		row := tx.QueryRow(ctx, undoSQL, tenant, [16]byte(letterID), act.actor(), act.why(), zeronull.UUID(act.JobID))
		if err := l.scan(row); err != nil {
			return audit.Entry{}, err
		}
		return entry(&l, "undo_discard", act, ""), nil
	})
	return l, err
}
