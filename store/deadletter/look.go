package deadletter

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
)

// Patience is after how long a question is answered with what was found so far: what takes that long has read some 100,000 index
// entries, or thousands of payloads.
const Patience = 40 * time.Millisecond

// pace is how much to read next so that it ends in the time that is left, going by how long n took: four times as much at most,
// and 0 when it is not worth to begin.
func pace(n int, took, left time.Duration, most int) int {
	if left <= 0 {
		return 0
	}
	next := min(4*n, most)
	if took > 0 {
		next = min(next, int(float64(n)*left.Seconds()/took.Seconds()))
	}
	if next < n/8 {
		return 0
	}
	return next
}

// querier is a pool, or one transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// tally is what letters come to that were looked at one by one.
type tally struct {
	states map[string]int64
	groups map[uuid.UUID]*Group
	// from is the time from which on all are in it; zero when all are.
	from time.Time
}

// look counts the letters that the counts do not know by themselves: those of a name, with a text, or with a mark. It goes back in
// time, in stretches, and ends once patience is over; 0 is to the end. recent is the beginning of Group.Recent.
func (f *Filter) look(ctx context.Context, q querier, recent time.Time, patience time.Duration) (t tally, err error) {
	t = tally{states: map[string]int64{}, groups: map[uuid.UUID]*Group{}}
	until := time.Now().Add(patience)
	n, most := 5000, 200_000
	if f.Text != "" || f.marked() {
		n, most = 500, 20_000 // the letters themselves are read
	}
	before := f.Before
	for {
		began := time.Now()
		one := *f
		one.Before = before
		if one.From, err = one.edge(ctx, q, n); err != nil {
			return t, err
		}
		last := one.From.IsZero()
		if last {
			one.From = f.From
		}
		if err := t.add(ctx, q, &one, recent); err != nil || last {
			return t, err
		}
		before = one.From
		if patience == 0 {
			n = most
		} else if n = pace(n, time.Since(began), time.Until(until), most); n == 0 {
			t.from = before
			return t, nil
		}
	}
}

// edge is when the n-th letter behind the newest died, of those that one index has in the order of time; zero when there are fewer.
// Whatever died in that same moment is on this side of it.
func (f *Filter) edge(ctx context.Context, q querier, n int) (edge time.Time, err error) {
	c := &clause{}
	c.add("tenant = %s", f.Tenant)
	f.span(c)
	name := Filter{ID: f.ID, CommandID: f.CommandID}
	if f.Device != "" {
		name.Device = f.Device
	} else {
		name.Client = f.Client
	}
	name.rest(c)
	err = q.QueryRow(ctx, `select (select died_at from dead_letters where `+c.sql()+` order by died_at desc offset `+c.arg(n)+` limit 1)`,
		append([]any{asked}, c.args...)...).Scan((*zeronull.Timestamptz)(&edge))
	return edge, err
}

// add counts a stretch.
func (t *tally) add(ctx context.Context, q querier, f *Filter, recent time.Time) error {
	c := &clause{}
	c.add("tenant = %s", f.Tenant)
	f.span(c)
	f.rest(c)
	letters := c.sql()
	inner := clause{args: c.args}
	f.facets(&inner)
	c.args = inner.args
	rows, err := q.Query(ctx, `select group_id, reason, device_type, method, cause, state, n, maybe, recent, first, last from (
			select group_id, executed, lane, state, count(*) as n, case when executed = 'maybe' then count(*) else 0 end as maybe,
				count(*) filter (where died_at >= `+c.arg(recent)+`) as recent, min(died_at) as first, max(died_at) as last
			from dead_letters where `+letters+` group by 1, 2, 3, 4) as t
		join dead_letter_facets using (group_id, executed, lane) where `+inner.sql(), append([]any{asked}, c.args...)...)
	if err != nil {
		return err
	}
	var g Group
	var state string
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&g.ID), &g.Reason, &g.DeviceType, &g.Method, &g.Cause, &state, &g.Count, &g.Maybe,
		&g.Recent, &g.First, &g.Last}, func() error {
		t.states[state] += g.Count
		if g.Open = 0; state == Open {
			g.Open = g.Count
		}
		if known := t.groups[g.ID]; known != nil {
			known.join(&g)
		} else {
			one := g
			t.groups[g.ID] = &one
		}
		return nil
	})
	return err
}

// join adds the same cause of another stretch.
func (g *Group) join(o *Group) {
	g.Count, g.Open, g.Maybe, g.Recent = g.Count+o.Count, g.Open+o.Open, g.Maybe+o.Maybe, g.Recent+o.Recent
	if o.First.Before(g.First) {
		g.First = o.First
	}
	if o.Last.After(g.Last) {
		g.Last = o.Last
	}
}

// top is the most frequent of its groups.
func (t *tally) top(limit int) []Group {
	groups := make([]Group, 0, len(t.groups))
	for _, g := range t.groups {
		g.First, g.Last = g.First.UTC(), g.Last.UTC()
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), slices.Compare(a.ID[:], b.ID[:]))
	})
	return groups[:min(limit, len(groups))]
}
