package deadletter

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/store"
)

// facet is what letters have in common. Those of one facet and state stand in the order of time in one
// stretch of an index.
type facet struct {
	group          uuid.UUID
	executed, lane string
	state          string
}

// maxFacets is the most facets that a list merges; past it, letters are read in the order of time.
const maxFacets = 400

// states of letters that a filter may mean.
func (f *Filter) states() []string {
	if f.State != "" {
		return []string{f.State}
	}
	return []string{Open, Redriving, Redriven, Discarded}
}

// facetsOf returns the facets, with each of the states, that a filter can mean; more is true when
// there are more than maxFacets.
func (s *Store) facetsOf(ctx context.Context, f *Filter) (found []facet, more bool, err error) {
	c := &clause{}
	f.facets(c)
	states := c.arg(f.states())
	rows, err := s.pool.Query(ctx, `select group_id, executed, lane, state from dead_letter_facets
		cross join unnest(`+states+`::text[]) as state where `+c.sql()+` limit `+c.arg(maxFacets+1), c.args...)
	if err != nil {
		return nil, false, store.Fault("read the facets of dead letters", err)
	}
	found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (one facet, err error) {
		err = row.Scan((*[16]byte)(&one.group), &one.executed, &one.lane, &one.state)
		return one, err
	})
	if err != nil {
		return nil, false, store.Fault("read the facets of dead letters", err)
	}
	return found, len(found) > maxFacets, nil
}

// unnest adds facets as arguments, and returns them as a table f.
func (c *clause) unnest(facets []facet) string {
	groups, executed := make([][16]byte, len(facets)), make([]string, len(facets))
	lanes, states := make([]string, len(facets)), make([]string, len(facets))
	for i := range facets {
		groups[i], executed[i], lanes[i], states[i] = facets[i].group, facets[i].executed, facets[i].lane, facets[i].state
	}
	return fmt.Sprintf("unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) as f (group_id, executed, lane, state)",
		c.arg(groups), c.arg(executed), c.arg(lanes), c.arg(states))
}
