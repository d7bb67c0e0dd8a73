package deadletter

import (
	"strings"
	"time"
)

// Widths of the counts' buckets, each a multiple of the next: migration 005.
func widths(minutes bool) []time.Duration {
	const day = 24 * time.Hour
	all := []time.Duration{52 * 7 * day, 7 * day, day, time.Hour, time.Minute}
	if !minutes {
		all = all[:len(all)-1]
	}
	return all
}

// minutesKept is for how long there are counts of minutes: most of all counts are of minutes, and few ask
// for them later. AddUp makes them, and Forget removes them, a day later only, so that all clocks agree.
const minutesKept = 7 * 24 * time.Hour

// span is a stretch of time, [from, before); zero bounds are open.
type span struct{ from, before time.Time }

func (s span) empty() bool { return !s.from.IsZero() && !s.before.IsZero() && !s.from.Before(s.before) }

// counted is a span of whole buckets of one width.
type counted struct {
	width time.Duration
	span
}

// split covers a span with as few buckets as there can be. What no bucket covers whole, at its two ends, is left: those
// letters are counted one by one.
func (s span) split(now time.Time) (whole []counted, left []span) {
	unit := time.Minute
	oldest := now.Add(-minutesKept)
	if !s.from.IsZero() && s.from.Before(oldest) || !s.before.IsZero() && s.before.Before(oldest) {
		unit = time.Hour
	}
	inner := s.whole(unit)
	if inner.empty() {
		return nil, []span{s}
	}
	for _, end := range []span{{s.from, inner.from}, {inner.before, s.before}} {
		if !end.empty() && !end.from.IsZero() && !end.before.IsZero() {
			left = append(left, end)
		}
	}
	return cover(inner, widths(unit == time.Minute)), left
}

// whole is what whole buckets of a width can cover.
func (s span) whole(width time.Duration) span {
	return span{ceil(s.from, width), floor(s.before, width)}
}

// cover takes the widest buckets in the middle, and narrower ones at the ends.
func cover(s span, widths []time.Duration) []counted {
	if s.empty() || len(widths) == 0 {
		return nil
	}
	width := widths[0]
	middle := s.whole(width)
	if middle.empty() {
		return cover(s, widths[1:])
	}
	all := []counted{{width, middle}}
	if !s.from.IsZero() {
		all = append(all, cover(span{s.from, middle.from}, widths[1:])...)
	}
	if !s.before.IsZero() {
		all = append(all, cover(span{middle.before, s.before}, widths[1:])...)
	}
	return all
}

// reach of all of them together.
func reach(whole []counted) span {
	all := whole[0].span
	for _, w := range whole[1:] {
		if w.from.IsZero() || w.from.Before(all.from) {
			all.from = w.from
		}
		if w.before.IsZero() || w.before.After(all.before) && !all.before.IsZero() {
			all.before = w.before
		}
	}
	return all
}

// Buckets begin at whole minutes, hours and days of UTC, as Truncate has them.
func floor(t time.Time, width time.Duration) time.Time { return t.UTC().Truncate(width) }

func ceil(t time.Time, width time.Duration) time.Time {
	if whole := floor(t, width); !whole.Equal(t) {
		return whole.Add(width)
	}
	return t
}

// condition on a column that it lies within the span.
func (s span) condition(c *clause, column string) string {
	conditions := []string{"true"}
	if !s.from.IsZero() {
		conditions = append(conditions, column+" >= "+c.arg(s.from))
	}
	if !s.before.IsZero() {
		conditions = append(conditions, column+" < "+c.arg(s.before))
	}
	return strings.Join(conditions, " and ")
}
