package deadletter

import (
	"context"
	"fmt"
	"time"

	"github.com/cupline/cupline/store"
)

// Page is one stretch of a list.
type Page struct {
	// Letters without Payload, Properties, Headers, Deaths and Outcome.
	Letters []Letter
	// Next is where the list goes on; nil when this is its end. A page that has a Next may have fewer
	// letters than asked for, even none: so far was looked within one answer's time.
	Next *Cursor
}

// Find returns up to limit letters in that order, from behind after on (nil: from the
// beginning). A letter that was there when a walk began is met once, whatever arrives meanwhile.
func (s *Store) Find(ctx context.Context, f Filter, sort Sort, after *Cursor, limit int) (Page, error) {
	column, _, known := sort.parts()
	if !known || after != nil && after.Sort != sort || limit < 1 {
		return Page{}, fmt.Errorf("list dead letters by %q: %w", sort, ErrCursor)
	}
	until := time.Now().Add(Patience)
	var page Page
	var err error
	if column == "reason" || column == "method" {
		page, err = s.byValue(ctx, f, sort, after, limit, until)
	} else {
		page, err = s.inOrder(ctx, &f, sort, after, limit, until)
	}
	return page, store.Fault("list dead letters", err)
}

// inOrder reads a list that some index has in its order.
func (s *Store) inOrder(ctx context.Context, f *Filter, sort Sort, after *Cursor, limit int, until time.Time) (page Page, err error) {
	w := walk{filter: f, sort: sort}
	if f.faceted() || f.State != "" {
		facets, more, err := s.facetsOf(ctx, f)
		if err != nil || len(facets) == 0 {
			return Page{}, err // such letters there never were
		}
		w.facets, w.wide = facets, more
	}
	at := after
	for n := w.first(limit); ; {
		began := time.Now()
		found, err := s.stretch(ctx, &w, at, n, limit+1-len(page.Letters))
		if err != nil {
			return Page{}, err
		}
		page.Letters = append(page.Letters, found.letters...)
		switch {
		case len(page.Letters) > limit:
			page.Letters = page.Letters[:limit]
			next := sort.after(&page.Letters[limit-1])
			page.Next = &next
			return page, nil
		case found.read < n:
			return page, nil
		}
		if n = w.next(n, limit, time.Since(began), time.Until(until)); n == 0 {
			page.Next = &found.last
			return page, nil
		}
		at = &found.last
	}
}

// byValue reads a list that no index has in its order: value after value of its column, each in the order of time.
func (s *Store) byValue(ctx context.Context, f Filter, sort Sort, after *Cursor, limit int, until time.Time) (page Page, err error) {
	column, descending, _ := sort.parts()
	within, direction, behind := Oldest, "", ">="
	if descending {
		within, direction, behind = Newest, " desc", "<="
	}
	c := &clause{}
	f.facets(c)
	if after != nil {
		c.add(column+" "+behind+" %s", after.Key)
	}
	rows, err := s.pool.Query(ctx, `select distinct `+column+` from dead_letter_facets where `+c.sql()+
		` order by `+column+direction, append([]any{asked}, c.args...)...)
	if err != nil {
		return Page{}, err
	}
	values, err := texts(rows)
	if err != nil {
		return Page{}, err
	}
	for i, value := range values {
		one, at := f, (*Cursor)(nil)
		if after != nil && after.Key == value {
			at = &Cursor{Sort: within, DiedAt: after.DiedAt, LetterID: after.LetterID}
		}
		if column == "reason" {
			one.Reason = value
		} else {
			one.Method = value
		}
		found, err := s.inOrder(ctx, &one, within, at, limit-len(page.Letters), until)
		if err != nil {
			return Page{}, err
		}
		page.Letters = append(page.Letters, found.Letters...)
		switch {
		case found.Next != nil:
			page.Next = &Cursor{Sort: sort, Key: value, DiedAt: found.Next.DiedAt, LetterID: found.Next.LetterID}
			return page, nil
		case i == len(values)-1:
			return page, nil
		case len(page.Letters) == limit || time.Now().After(until):
			page.Next = sort.end(value)
			return page, nil
		}
	}
	return page, nil
}
