package cupline

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// mostGroups is how many causes are told.
const mostGroups = 100

// DeadLetterGroups lists up to 100 causes, the most frequent first. Where the platform counts in parts, all of them are asked for and
// added up, whatever that takes.
func (c *Client) DeadLetterGroups(ctx context.Context, f Filter) ([]LetterGroup, error) {
	query := maps.Clone(map[string]string(f))
	if query == nil {
		query = map[string]string{}
	}
	query["limit"] = strconv.Itoa(pageSize)
	all := map[string]*LetterGroup{}
	for {
		var part struct {
			Groups      []LetterGroup `json:"groups"`
			CountedFrom time.Time     `json:"counted_from"`
		}
		if err := c.do(ctx, request{method: http.MethodGet, path: lettersPath + "/groups", query: query}, &part); err != nil {
			return nil, err
		}
		for i := range part.Groups {
			if known := all[part.Groups[i].Group]; known != nil {
				known.join(&part.Groups[i])
			} else {
				all[part.Groups[i].Group] = &part.Groups[i]
			}
		}
		if part.CountedFrom.IsZero() {
			return frequent(all), nil
		}
		query["before"] = part.CountedFrom.Format(time.RFC3339Nano)
	}
}

// join adds what an earlier time has of the same cause.
func (g *LetterGroup) join(o *LetterGroup) {
	g.Count, g.Open, g.Maybe, g.PerMinute = g.Count+o.Count, g.Open+o.Open, g.Maybe+o.Maybe, g.PerMinute+o.PerMinute
	if o.FirstAt.Before(g.FirstAt) {
		g.FirstAt = o.FirstAt
	}
	if o.LastAt.After(g.LastAt) {
		g.LastAt = o.LastAt
	}
}

func frequent(all map[string]*LetterGroup) []LetterGroup {
	groups := make([]LetterGroup, 0, len(all))
	for _, g := range all {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b LetterGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Group, b.Group))
	})
	return groups[:min(mostGroups, len(groups))]
}
