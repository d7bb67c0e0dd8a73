package deadletter

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
)

// counted reports whether the counts know all that the filter asks.
func (f *Filter) counted() bool { return !f.named() && !f.marked() && f.Text == "" }

// tally is a table of (group_id, executed, lane, state, n) for a filter within a span, from the counts.
func (f *Filter) tally(c *clause, within span, now time.Time) string {
	tenant := c.arg(f.Tenant)
	whole, left := within.split(now)
	var parts []string
	for _, w := range whole {
		parts = append(parts, fmt.Sprintf(`select group_id, executed, lane, state, n from dead_letter_counts
			where tenant = %s and width = %d and %s`, tenant, int(w.width.Minutes()), w.condition(c, "bucket")))
	}
	if len(whole) > 0 {
		// And what is not added up yet.
		parts = append(parts, fmt.Sprintf(`select group_id, executed, lane, state, n from dead_letter_changes
			where tenant = %s and %s`, tenant, reach(whole).condition(c, "minute")))
	}
	for _, l := range left {
		parts = append(parts, fmt.Sprintf(`select group_id, executed, lane, state, 1 as n from dead_letters
			where tenant = %s and %s`, tenant, l.condition(c, "died_at")))
	}
	state := ""
	if f.State != "" {
		state = " where state = " + c.arg(f.State)
	}
	return fmt.Sprintf(`(select group_id, executed, lane, state, sum(n)::bigint as n
		from (%s) as parts%s group by 1, 2, 3, 4 having sum(n) > 0)`, strings.Join(parts, " union all "), state)
}

// within is the filter's own time.
func (f *Filter) within() span { return span{f.From, f.Before} }

// Counts returns how many letters there are in each state. Of one device, client or id, with a text or a mark, they are counted one by
// one, for as long as patience (0: to the end): then all that died at from or later are in it. from is zero when all are.
func (s *Store) Counts(ctx context.Context, f Filter, patience time.Duration) (counts map[string]int64, from time.Time, err error) {
	counts = map[string]int64{Open: 0, Redriving: 0, Redriven: 0, Discarded: 0}
	if !f.counted() {
		t, err := f.look(ctx, s.pool, time.Now(), patience)
		maps.Copy(counts, t.states)
		return counts, t.from.UTC(), store.Fault("count dead letters", err)
	}
	c := &clause{}
	tally := f.tally(c, f.within(), time.Now())
	f.facets(c)
	rows, err := s.pool.Query(ctx, `select state, sum(n)::bigint from `+tally+` as t
		join dead_letter_facets using (group_id, executed, lane) where `+c.sql()+` group by state`, append([]any{asked}, c.args...)...)
	if err != nil {
		return nil, from, store.Fault("count dead letters", err)
	}
	var state string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		counts[state] = n
		return nil
	})
	return counts, from, store.Fault("count dead letters", err)
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

// Groups returns up to limit causes, the most frequent first. The counts of all letters cost next to nothing; patience and from are
// as in Counts.
func (s *Store) Groups(ctx context.Context, f Filter, limit int, patience time.Duration) (groups []Group, from time.Time, err error) {
	// One moment for the counts, and for the first and last of each.
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var now time.Time
		if err := tx.QueryRow(ctx, `select now()`).Scan(&now); err != nil {
			return err
		}
		if f.counted() {
			groups, err = f.groups(ctx, tx, now, limit)
			return err
		}
		t, err := f.look(ctx, tx, now.Add(-RateWindow), patience)
		groups, from = t.top(limit), t.from.UTC()
		return err
	})
	return groups, from, store.Fault("group dead letters", err)
}

// groups are from the counts.
func (f *Filter) groups(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]Group, error) {
	recent := span{now.Add(-RateWindow), f.Before}
	if f.From.After(recent.from) {
		recent.from = f.From
	}
	c := &clause{}
	tally, lately := f.tally(c, f.within(), now), f.tally(c, recent, now)
	f.facets(c)
	rows, err := tx.Query(ctx, groupSQL(f, c, tally, lately, limit), append([]any{asked}, c.args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Group, err error) {
		err = row.Scan((*[16]byte)(&g.ID), &g.Reason, &g.DeviceType, &g.Method, &g.Cause, &g.Count, &g.Open, &g.Maybe,
			&g.Recent, &g.First, &g.Last)
		g.First, g.Last = g.First.UTC(), g.Last.UTC()
		return g, err
	})
}

// groupSQL sums a tally by group. The first and last are looked up, in one step each, for the groups that are told.
func groupSQL(f *Filter, c *clause, tally, lately string, limit int) string {
	where := c.sql()
	side := func(direction string) string {
		return `(select died_at from dead_letters d where d.tenant = ` + c.arg(f.Tenant) + ` and d.group_id = t.group_id
			and d.executed = t.executed and d.lane = t.lane and d.state = t.state and ` + f.within().condition(c, "died_at") +
			` order by died_at ` + direction + ` limit 1)`
	}
	ends := side("asc") + " as first, " + side("desc") + " as last"
	return `with tally as materialized (select t.*, reason, device_type, method, cause from ` + tally + ` as t
			join dead_letter_facets using (group_id, executed, lane) where ` + where + `),
		top as materialized (select group_id, min(reason) as reason, min(device_type) as device_type, min(method) as method,
			min(cause) as cause, sum(n) as n, coalesce(sum(n) filter (where state = 'open'), 0) as open,
			coalesce(sum(n) filter (where executed = 'maybe'), 0) as maybe
			from tally group by group_id order by n desc, group_id limit ` + strconv.Itoa(limit) + `),
		lately as materialized (select group_id, sum(n) as n from ` + lately + ` as l
			join dead_letter_facets using (group_id, executed, lane) where ` + where + ` group by group_id),
		ends as materialized (select group_id, min(first) as first, max(last) as last
			from (select t.group_id, ` + ends + ` from tally t where group_id in (select group_id from top)) as e group by group_id)
		select top.group_id, reason, device_type, method, cause, top.n::bigint, open::bigint, maybe::bigint,
			coalesce(lately.n, 0)::bigint, first, last
		from top join ends using (group_id) left join lately using (group_id) order by top.n desc, top.group_id`
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
