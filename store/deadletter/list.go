package deadletter

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
)

// Page is one stretch of a list.
type Page struct {
	// Letters without Payload, Properties, Headers, Deaths and Outcome.
	Letters []Letter
	// Next is where the list goes on; nil when this is its end.
	Next *Cursor
}

// Find returns up to limit letters in that order, from behind after on (nil: from the
// beginning). A letter that was there when a walk began is met once, whatever arrives meanwhile.
func (s *Store) Find(ctx context.Context, f Filter, sort Sort, after *Cursor, limit int) (Page, error) {
	column, descending, known := sort.parts()
	if !known || after != nil && after.Sort != sort || limit < 1 {
		return Page{}, fmt.Errorf("list dead letters by %q: %w", sort, ErrCursor)
	}
	c := f.clause()
	order, places := "died_at, letter_id", ""
	direction, behind := "", ">"
	if descending {
		direction, behind = " desc", "<"
	}
	if column != "" {
		order = column + ", " + order
	}
	if after != nil {
		if column != "" {
			places = c.arg(after.Key) + "::text, "
		}
		places += c.arg(after.DiedAt) + "::timestamptz, " + c.arg([16]byte(after.LetterID)) + "::uuid"
		c.conditions = append(c.conditions, "("+order+") "+behind+" ("+places+")")
	}
	ordered := "died_at" + direction + ", letter_id" + direction
	if column != "" {
		ordered = column + direction + ", " + ordered
	}
	rows, err := s.pool.Query(ctx, `select `+summaryColumns+` from dead_letters where `+c.sql()+
		` order by `+ordered+` limit `+c.arg(limit+1), c.args...)
	if err != nil {
		return Page{}, store.Fault("list dead letters", err)
	}
	letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Letter, err error) {
		err = l.scan(row)
		return l, err
	})
	if err != nil {
		return Page{}, store.Fault("list dead letters", err)
	}
	page := Page{Letters: letters}
	if len(letters) > limit {
		page.Letters = letters[:limit]
		next := sort.after(&page.Letters[limit-1])
		page.Next = &next
	}
	return page, nil
}

// Counts returns how many letters there are in each state.
func (s *Store) Counts(ctx context.Context, f Filter) (map[string]int64, error) {
	c := f.clause()
	counts := map[string]int64{Open: 0, Redriving: 0, Redriven: 0, Discarded: 0}
	rows, err := s.pool.Query(ctx, `select state, count(*) from dead_letters where `+c.sql()+` group by state`, c.args...)
	if err != nil {
		return nil, store.Fault("count dead letters", err)
	}
	var state string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		counts[state] = n
		return nil
	})
	return counts, store.Fault("count dead letters", err)
}

// RateWindow is the time up to now over which Group.Recent is counted.
const RateWindow = 5 * time.Minute

// Group is letters of one cause.
type Group struct {
	ID         uuid.UUID
	Reason     string
	DeviceType string
	Method     string
	Cause      string
	Count      int64
	Open       int64
	// Maybe counts those that may have been executed.
	Maybe       int64
	First, Last time.Time
	// Recent counts those of the last RateWindow: what still goes on.
	Recent int64
}

// Groups returns up to limit causes, the most frequent first.
func (s *Store) Groups(ctx context.Context, f Filter, limit int) ([]Group, error) {
	c := f.clause()
	window := c.arg(RateWindow)
	rows, err := s.pool.Query(ctx, `select group_id, min(reason), min(device_type), min(method), min(cause), count(*),
		count(*) filter (where state = 'open'), count(*) filter (where executed = 'maybe'), min(died_at), max(died_at),
		count(*) filter (where died_at > now() - `+window+`::interval)
		from dead_letters where `+c.sql()+` group by group_id order by count(*) desc, group_id limit `+c.arg(limit), c.args...)
	if err != nil {
		return nil, store.Fault("group dead letters", err)
	}
	groups, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Group, err error) {
		err = row.Scan((*[16]byte)(&g.ID), &g.Reason, &g.DeviceType, &g.Method, &g.Cause, &g.Count, &g.Open, &g.Maybe,
			&g.First, &g.Last, &g.Recent)
		g.First, g.Last = g.First.UTC(), g.Last.UTC()
		return g, err
	})
	return groups, store.Fault("group dead letters", err)
}

// Kin returns the letters of one command's redrives and origin: those whose command is
// redriveOf, and those that are redrives of commandID. uuid.Nil is nobody's.
func (s *Store) Kin(ctx context.Context, tenant string, commandID, redriveOf uuid.UUID) ([]Letter, error) {
	rows, err := s.pool.Query(ctx, `select `+summaryColumns+` from dead_letters where tenant = $1 and identity = $3
		union all select `+summaryColumns+` from dead_letters where tenant = $1 and redrive_of = $2`,
		tenant, [16]byte(commandID), redriveOf[:])
	if err != nil {
		return nil, store.Fault("read a letter's kin", err)
	}
	letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Letter, err error) {
		err = l.scan(row)
		return l, err
	})
	return letters, store.Fault("read a letter's kin", err)
}
