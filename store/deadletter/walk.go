package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// asked makes the database plan each question for its own values: what is right for a device with ten
// letters is wrong for one with a million.
const asked = pgx.QueryExecModeCacheDescribe

// walk reads letters in the order of an index, in stretches, and tells which of them the filter means.
type walk struct {
	filter *Filter
	sort   Sort
	// facets that the filter can mean, and whether there are more.
	facets []facet
	wide   bool
	// merged walks go through the facets' own letters; others through all, or those of a name.
	merged bool
}

// fewFacets is the most facets that are merged at once. Of more, letters are read in the order of time first: chances
// are that they are many, and among the next ones. It is also the most that are merged where each letter has to be read
// for its text, too.
const fewFacets = 16

// mergeable reports whether the facets' own letters can be merged into the list.
func (w *walk) mergeable() bool {
	column, _, _ := w.sort.parts()
	return len(w.facets) > 0 && !w.wide && !w.filter.named() && !w.filter.marked() && column == "" && (w.filter.Text == "" || len(w.facets) <= fewFacets)
}

// first is the length of the first stretch: some more than a page where all that is read is meant, else what
// takes a few milliseconds.
func (w *walk) first(limit int) int {
	w.merged = w.mergeable() && len(w.facets) <= fewFacets
	switch {
	case w.exact():
		return limit + 1
	case w.filter.Text != "":
		return max(500, limit+1)
	}
	return max(1000, limit+1)
}

// next is the length of the stretch behind one of n, which had too few letters and took so long, with so much time left; 0 is to end here.
func (w *walk) next(n, limit int, took, left time.Duration) int {
	most := 64_000
	if w.filter.Text != "" {
		most = 8000
	}
	next := pace(n, took, left, most)
	if w.merged = w.mergeable(); w.exact() && next > 0 {
		return limit + 1
	}
	return next
}

// exact reports whether all that is read is meant.
func (w *walk) exact() bool {
	f := w.filter
	names := 0
	for _, given := range []bool{f.Device != "", f.Client != "", f.ID != "", f.CommandID != uuid.Nil} {
		if given {
			names++
		}
	}
	return f.Text == "" && !f.marked() && (w.merged || len(w.facets) == 0 && names <= 1)
}

// found is what a stretch had.
type found struct {
	letters []Letter
	// read is how many were looked at, last the place of the last one.
	read int
	last Cursor
}

// stretch looks at the next n letters behind a place, and returns those that are meant, most of them at most.
func (s *Store) stretch(ctx context.Context, w *walk, after *Cursor, n, most int) (f found, err error) {
	column, descending, _ := w.sort.parts()
	c := &clause{}
	c.add("tenant = %s", w.filter.Tenant)
	o := newOrder(column, descending)
	w.filter.span(c)
	o.behind(c, after)
	source := w.source(c, o, n)
	key := "''"
	if column != "" {
		key = column
	}
	rows, err := s.pool.Query(ctx, fmt.Sprintf(`with stretch as materialized (%s order by %s limit %d)
		select `+summaryColumns+`, read, last_key, last_at, last_id
		from (select count(*) over () as read, %s as last_key, died_at as last_at, letter_id as last_id
			from stretch order by %s limit 1) as last
		left join (select d.* from (select letter_id from stretch where meant order by %s limit %d) as page
			join dead_letters d on d.tenant = $1 and d.letter_id = page.letter_id) as d on true order by %s`,
		source, o.by, n, key, o.reversed, o.by, most, o.by), append([]any{asked}, c.args...)...)
	if err != nil {
		return found{}, err
	}
	f.last.Sort = w.sort
	f.letters, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Letter, err error) {
		if row.RawValues()[0] == nil { // nothing that is meant: the place alone
			values := row.RawValues()
			return l, errors.Join(errNoLetter, f.place(row, len(values)))
		}
		err = l.scan(row, &f.read, &f.last.Key, &f.last.DiedAt, (*[16]byte)(&f.last.LetterID))
		return l, err
	})
	f.last.DiedAt = f.last.DiedAt.UTC()
	if errors.Is(err, errNoLetter) && f.read > 0 {
		return f, nil
	}
	return f, err
}

var errNoLetter = errors.New("no letter")

// place reads the last four columns alone.
func (f *found) place(row pgx.CollectableRow, columns int) error {
	targets := make([]any, columns)
	copy(targets[columns-4:], []any{&f.read, &f.last.Key, &f.last.DiedAt, (*[16]byte)(&f.last.LetterID)})
	return row.Scan(targets...)
}

// order of a list, and of each stretch of it.
type order struct {
	columns      string
	by, reversed string
	descending   bool
	column       string
}

func newOrder(column string, descending bool) order {
	o := order{columns: "died_at, letter_id", descending: descending, column: column}
	forwards, backwards := "", " desc"
	if descending {
		forwards, backwards = backwards, forwards
	}
	o.by, o.reversed = "died_at"+forwards+", letter_id"+forwards, "died_at"+backwards+", letter_id"+backwards
	if column != "" {
		o.columns = column + ", " + o.columns
		o.by, o.reversed = column+forwards+", "+o.by, column+backwards+", "+o.reversed
	}
	return o
}

// behind adds the condition that a letter stands behind a place.
func (o *order) behind(c *clause, after *Cursor) {
	if after == nil {
		return
	}
	places := ""
	if o.column != "" {
		places = c.arg(after.Key) + "::text, "
	}
	places += c.arg(after.DiedAt) + "::timestamptz, " + c.arg([16]byte(after.LetterID)) + "::uuid"
	than := ">"
	if o.descending {
		than = "<"
	}
	c.conditions = append(c.conditions, "("+o.columns+") "+than+" ("+places+")")
}

// source selects the letters of a walk, with whether each is meant. c has the tenant, the time and the place.
func (w *walk) source(c *clause, o order, n int) string {
	f := w.filter
	if w.merged {
		text, read := "true", ""
		if f.Text != "" {
			only := Filter{Text: f.Text}
			text, read = c.meant(&only), ", payload, detail"
		}
		return fmt.Sprintf(`select letter_id, died_at, %s as meant from %s cross join lateral (
			select letter_id, died_at%s from dead_letters where %s and group_id = f.group_id and executed = f.executed
			and lane = f.lane and state = f.state order by %s limit %d) as d`, text, c.unnest(w.facets), read, c.sql(), o.by, n)
	}
	rest := *f
	within := ""
	switch {
	case f.CommandID != uuid.Nil:
		c.add("identity = %s", f.CommandID[:])
		rest.CommandID = uuid.Nil
	case f.ID != "":
		within, rest.ID = c.arg(f.ids()), ""
	case f.Device != "":
		c.add("device = %s", f.Device)
		rest.Device = ""
	case f.Client != "":
		c.add("client = %s", f.Client)
		rest.Client = ""
	}
	where := c.sql()
	meant := c.meant(&rest)
	if within != "" {
		return fmt.Sprintf(`select d.* from unnest(%s::bytea[]) as i (id) cross join lateral (select %s, %s as meant
			from dead_letters where %s and id = i.id order by %s limit %d) as d`, within, o.columns, meant, where, o.by, n)
	}
	return fmt.Sprintf(`select %s, %s as meant from dead_letters where %s`, o.columns, meant, where)
}

// meant is what remains of a filter, as one expression: what an index has first, and what has to be read last.
func (c *clause) meant(f *Filter) string {
	inner := clause{args: c.args}
	if f.faceted() {
		of := clause{args: inner.args}
		f.facets(&of)
		inner.args = of.args
		inner.conditions = append(inner.conditions,
			"(group_id, executed, lane) in (select group_id, executed, lane from dead_letter_facets where "+of.sql()+")")
	}
	f.rest(&inner)
	c.args = inner.args
	if len(inner.conditions) == 0 {
		return "true"
	}
	return "(" + inner.sql() + ")"
}

// end is the place behind all letters of one value, and before those of the next.
func (s Sort) end(value string) *Cursor {
	_, descending, _ := s.parts()
	if descending {
		return &Cursor{Sort: s, Key: value, DiedAt: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), LetterID: uuid.UUID{15: 1}}
	}
	return &Cursor{Sort: s, Key: value, DiedAt: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), LetterID: uuid.Max}
}

func texts(rows pgx.Rows) ([]string, error) { return pgx.CollectRows(rows, pgx.RowTo[string]) }
