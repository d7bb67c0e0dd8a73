package desk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cupline/cupline/store/deadletter"
)

// page is how many letters a list is asked for.
const page = 100

// field is one way to choose letters. set makes a filter choose as a letter has it.
type field struct {
	name string
	set  func(f *deadletter.Filter, l *deadletter.Letter, r *rand.Rand)
}

func fields() []field {
	return []field{
		{"time", func(f *deadletter.Filter, l *deadletter.Letter, r *rand.Rand) {
			f.From = l.DiedAt.Add(-time.Duration(r.Int64N(int64(72 * time.Hour))))
			f.Before = l.DiedAt.Add(time.Duration(r.Int64N(int64(72 * time.Hour))))
		}},
		{"state", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.State = l.State }},
		{"reason", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.Reason = l.Reason }},
		{"executed", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.Executed = l.Executed }},
		{"lane", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.Lane = l.Lane }},
		{"device", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.Device = l.Device }},
		{"device_type", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.DeviceType = l.DeviceType }},
		{"method", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.Method = l.Method }},
		{"client", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.Client = l.Client }},
		{"id", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.ID = strings.Trim(string(l.ID), `"`) }},
		{"command_id", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.CommandID = l.CommandID }},
		{"group", func(f *deadletter.Filter, l *deadletter.Letter, _ *rand.Rand) { f.Group = l.Group }},
		{"text", func(f *deadletter.Filter, l *deadletter.Letter, r *rand.Rand) {
			f.Text = []string{"order-1", strings.Trim(string(l.ID), `"`), "stands nowhere"}[r.IntN(3)]
		}},
	}
}

// question is asked many times, each time with other values.
type question struct {
	name string
	ask  func(ctx context.Context, r *rand.Rand) error
}

// asker makes questions about letters of which it knows some.
type asker struct {
	store *deadletter.Store
	known []deadletter.Letter
}

// filter chooses by fields, as one letter has them all, or each another letter: then they may never meet.
func (a *asker) filter(r *rand.Rand, chosen ...field) deadletter.Filter {
	f := deadletter.Filter{Tenant: Tenant}
	together, one := r.IntN(2) == 0, &a.known[r.IntN(len(a.known))]
	for _, by := range chosen {
		if !together {
			one = &a.known[r.IntN(len(a.known))]
		}
		by.set(&f, one, r)
	}
	return f
}

func (a *asker) list(name string, sort deadletter.Sort, chosen ...field) question {
	return question{name, func(ctx context.Context, r *rand.Rand) error {
		_, err := a.store.Find(ctx, a.filter(r, chosen...), sort, nil, page)
		return err
	}}
}

func (a *asker) groups(name string, chosen ...field) question {
	return question{name, func(ctx context.Context, r *rand.Rand) error {
		_, _, err := a.store.Groups(ctx, a.filter(r, chosen...), page, deadletter.Patience)
		return err
	}}
}

// since groups the letters of the time up to now.
func (a *asker) since(d time.Duration) question {
	return question{fmt.Sprintf("groups of the last %s", short(d)), func(ctx context.Context, r *rand.Rand) error {
		f := deadletter.Filter{Tenant: Tenant, From: time.Now().Add(-d - time.Duration(r.Int64N(int64(time.Minute))))}
		_, _, err := a.store.Groups(ctx, f, page, deadletter.Patience)
		return err
	}}
}

func short(d time.Duration) string {
	if d >= 24*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// all questions: lists by nothing, by each field, by each pair and in each order; groups and counts.
func (a *asker) all() (qs []question) {
	fields := fields()
	qs = append(qs, a.list("newest", deadletter.Newest), a.deep(deadletter.Newest))
	for i, one := range fields {
		qs = append(qs, a.list(one.name, deadletter.Newest, one))
		for _, other := range fields[i+1:] {
			qs = append(qs, a.list(one.name+" + "+other.name, deadletter.Newest, one, other))
		}
	}
	for _, sort := range []deadletter.Sort{"died_at", "device", "-device", "method", "-method", "reason", "-reason", "client", "-client"} {
		qs = append(qs, a.list("sorted by "+string(sort), sort), a.deep(sort))
		for _, one := range fields {
			qs = append(qs, a.list(one.name+", sorted by "+string(sort), sort, one))
		}
	}
	qs = append(qs, question{"reason + method that never meet", func(ctx context.Context, _ *rand.Rand) error {
		f := deadletter.Filter{Tenant: Tenant, Reason: "expired", Method: "type-3.method-1"}
		_, err := a.store.Find(ctx, f, deadletter.Newest, nil, page)
		return err
	}})
	for _, d := range []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} {
		qs = append(qs, a.since(d))
	}
	qs = append(qs, a.groups("groups of all"), a.counts("counts of all"))
	for i, one := range fields {
		qs = append(qs, a.groups("groups by "+one.name, one), a.counts("counts by "+one.name, one))
		for _, other := range fields[i+1:] {
			qs = append(qs, a.groups("groups by "+one.name+" + "+other.name, one, other))
		}
	}
	return qs
}

func (a *asker) counts(name string, chosen ...field) question {
	return question{name, func(ctx context.Context, r *rand.Rand) error {
		_, _, err := a.store.Counts(ctx, a.filter(r, chosen...), deadletter.Patience)
		return err
	}}
}

// deep is a page from somewhere in the middle.
func (a *asker) deep(sort deadletter.Sort) question {
	return question{"a page in the middle, by " + string(sort), func(ctx context.Context, r *rand.Rand) error {
		l := a.known[r.IntN(len(a.known))]
		after := deadletter.Cursor{Sort: sort, DiedAt: l.DiedAt, LetterID: l.LetterID}
		after.Key = map[string]string{"device": l.Device, "method": l.Method, "reason": l.Reason, "client": l.Client}[strings.TrimPrefix(string(sort), "-")]
		_, err := a.store.Find(ctx, deadletter.Filter{Tenant: Tenant}, sort, &after, page)
		return err
	}}
}

// search looks for a text that stands nowhere until all letters were looked at.
func (a *asker) search(ctx context.Context) (answers int, took time.Duration, err error) {
	began := time.Now()
	var after *deadletter.Cursor
	for {
		found, err := a.store.Find(ctx, deadletter.Filter{Tenant: Tenant, Text: "stands nowhere"}, deadletter.Newest, after, page)
		answers++
		if err != nil || found.Next == nil {
			return answers, time.Since(began), err
		}
		after = found.Next
	}
}
