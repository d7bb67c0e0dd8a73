package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
)

// Subject is what marks and notes stand on: a letter, or a group of letters.
type Subject struct {
	Tenant string
	// ID is the letter's, or the group's.
	ID      uuid.UUID
	IsGroup bool
}

// Mark says who looks after a subject, and what tags it has.
type Mark struct {
	Assignee string
	// Tags in the order of their names.
	Tags []string
}

// MaxTags is the most tags of one subject.
const MaxTags = 32

// MarkChange is what is to be different. Nil leaves the assignee as it is.
type MarkChange struct {
	Add, Remove []string
	Assignee    *string
	// From is who looked after it before; a subject that somebody else looks after is not taken from them.
	From string
}

// ErrTooManyTags says that a subject would have more than MaxTags.
var ErrTooManyTags = fmt.Errorf("more than %d tags", MaxTags)

// AssignedError says that somebody else looks after a subject.
type AssignedError struct{ Assignee string }

func (e *AssignedError) Error() string { return "it is looked after by " + e.Assignee }

// Mark changes a subject's marks and returns them as they stand: ErrNotFound where there is no such letter, or no
// letter of that group, *AssignedError, ErrTooManyTags.
func (s *Store) Mark(ctx context.Context, on Subject, act Act, change MarkChange) (m Mark, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		e, err := on.entry(ctx, tx, "mark", act)
		if err != nil {
			return err
		}
		// The row first, and locked, so that of two who assign one is the first.
		err = tx.QueryRow(ctx, `insert into desk_marks as m (tenant, subject, is_group, changed_by) values ($1, $2, $3, $4)
			on conflict (tenant, subject) do update set changed_by = $4, changed_at = clock_timestamp() returning assignee, tags`,
			on.Tenant, [16]byte(on.ID), on.IsGroup, act.actor()).Scan(&m.Assignee, &m.Tags)
		if err != nil {
			return err
		}
		if change.Assignee != nil {
			if m.Assignee != "" && m.Assignee != change.From && m.Assignee != *change.Assignee {
				return &AssignedError{Assignee: m.Assignee}
			}
			m.Assignee = *change.Assignee
		}
		m.Tags = slices.DeleteFunc(append(append([]string{}, m.Tags...), change.Add...), func(tag string) bool { return slices.Contains(change.Remove, tag) })
		slices.Sort(m.Tags)
		if m.Tags = slices.Compact(m.Tags); len(m.Tags) > MaxTags {
			return ErrTooManyTags
		}
		if _, err := tx.Exec(ctx, `update desk_marks set assignee = $3, tags = $4 where tenant = $1 and subject = $2`,
			on.Tenant, [16]byte(on.ID), m.Assignee, m.Tags); err != nil {
			return err
		}
		e.Detail += fmt.Sprintf("; assignee %q, tags %q", m.Assignee, m.Tags)
		var trail pgx.Batch
		audit.Queue(&trail, e)
		return tx.SendBatch(ctx, &trail).Close()
	})
	return m, store.Fault("mark", err)
}

// entry begins the line of the audit trail about a subject, and finds out whether it is there.
func (on *Subject) entry(ctx context.Context, tx pgx.Tx, action string, act Act) (audit.Entry, error) {
	column, what := "letter_id", "letter "
	if on.IsGroup {
		column, what = "group_id", "group "
	}
	var l Letter
	err := l.scan(tx.QueryRow(ctx, `select `+summaryColumns+` from dead_letters where tenant = $1 and `+column+` = $2 limit 1`,
		on.Tenant, [16]byte(on.ID)))
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Entry{}, ErrNotFound
	}
	e := entry(&l, action, act, "")
	if on.IsGroup { // of one letter of many only what all have
		e = audit.Entry{Tenant: on.Tenant, Stage: audit.StageOperator, Action: action, Actor: act.Actor, Reason: l.Reason, DeviceType: l.DeviceType, Method: l.Method}
	}
	e.Detail = what + on.ID.String()
	if act.Reason != "" {
		e.Detail += ": " + act.Reason
	}
	return e, err
}

// Marks returns the marks of those of the subjects that have some, by their ids.
func (s *Store) Marks(ctx context.Context, tenant string, subjects []uuid.UUID) (map[uuid.UUID]Mark, error) {
	ids := make([][16]byte, len(subjects))
	for i, id := range subjects {
		ids[i] = id
	}
	rows, err := s.pool.Query(ctx, `select subject, assignee, tags from desk_marks where tenant = $1 and subject = any($2)
		and (assignee <> '' or tags <> '{}')`, tenant, ids)
	if err != nil {
		return nil, store.Fault("read marks", err)
	}
	marks := map[uuid.UUID]Mark{}
	var id uuid.UUID
	var m Mark
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &m.Assignee, &m.Tags}, func() error {
		marks[id] = Mark{Assignee: m.Assignee, Tags: slices.Clone(m.Tags)}
		return nil
	})
	return marks, store.Fault("read marks", err)
}

// Note is what an operator wrote about a subject.
type Note struct {
	NoteID uuid.UUID
	At     time.Time
	Actor  string
	Text   string
}

// AddNote writes one, and the same into the audit trail. ErrNotFound as Mark's.
func (s *Store) AddNote(ctx context.Context, on Subject, act Act) (n Note, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Note{}, fmt.Errorf("make a note's id: %w", err)
	}
	n = Note{NoteID: id, Actor: act.actor(), Text: act.why()}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		e, err := on.entry(ctx, tx, "note", act)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `insert into desk_notes (tenant, subject, note_id, actor, note) values ($1, $2, $3, $4, $5) returning at`,
			on.Tenant, [16]byte(on.ID), [16]byte(id), n.Actor, n.Text).Scan(&n.At); err != nil {
			return err
		}
		n.At = n.At.UTC()
		var trail pgx.Batch
		audit.Queue(&trail, e)
		return tx.SendBatch(ctx, &trail).Close()
	})
	return n, store.Fault("write a note", err)
}

// Notes returns up to limit notes on any of the subjects, oldest first, from behind after on (uuid.Nil: from the first).
func (s *Store) Notes(ctx context.Context, tenant string, subjects []uuid.UUID, after uuid.UUID, limit int) ([]Note, error) {
	ids := make([][16]byte, len(subjects))
	for i, id := range subjects {
		ids[i] = id
	}
	rows, err := s.pool.Query(ctx, `select note_id, at, actor, note from desk_notes where tenant = $1 and subject = any($2)
		and note_id > $3 order by note_id limit $4`, tenant, ids, [16]byte(after), limit)
	if err != nil {
		return nil, store.Fault("read notes", err)
	}
	notes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n Note, err error) {
		err = row.Scan((*[16]byte)(&n.NoteID), &n.At, &n.Actor, &n.Text)
		n.At = n.At.UTC()
		return n, err
	})
	return notes, store.Fault("read notes", err)
}
