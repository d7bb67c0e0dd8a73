package httpapi

import (
	"net/http"
	"strconv"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/labstack/echo/v4"
)

// jobPost asks for a job.
type jobPost struct {
	action
	Kind   string             `json:"kind"`
	Filter *deadletter.Filter `json:"filter"`
	Rate   int                `json:"rate"`
	DryRun bool               `json:"dry_run"`
	// Canary is how many letters go first and are waited for. StopAbove is a percentage.
	Canary    int  `json:"canary"`
	StopAbove *int `json:"stop_above"`
	StopAfter *int `json:"stop_after"`
}

// job checks what was asked for.
func (p *jobPost) job(who auth.Principal, tenant string, guard int) (deadletter.Job, error) {
	act, err := p.act(who)
	if p.DryRun {
		err = nil // nothing is done, so nobody has to answer for it
	}
	wrong := func(field, detail string) (deadletter.Job, error) {
		return deadletter.Job{}, problem.New(problem.InvalidRequest, "%s", detail).At(field)
	}
	if p.Rate == 0 {
		p.Rate = usualRate
	}
	stopAbove, stopAfter := usualStopAbove, usualStopAfter
	if p.StopAbove != nil {
		stopAbove = *p.StopAbove
	}
	if p.StopAfter != nil {
		stopAfter = *p.StopAfter
	}
	switch {
	case err != nil:
		return deadletter.Job{}, err
	case p.Actor == "" && !p.DryRun:
		return wrong("actor", "say who")
	case p.Kind != deadletter.JobRedrive && p.Kind != deadletter.JobDiscard && p.Kind != deadletter.JobUndo:
		return wrong("kind", "must be redrive, discard or undo")
	case p.Filter == nil:
		return wrong("filter", "is missing; {} chooses every open letter")
	case p.Filter.State != "" && p.Filter.State != p.needs():
		return wrong("filter.state", "a "+p.Kind+" needs letters that are "+p.needs())
	case p.Kind != deadletter.JobRedrive && (p.Canary != 0 || p.StopAbove != nil || p.StopAfter != nil):
		return wrong("canary", "only a redrive has outcomes: leave out canary, stop_above and stop_after")
	case p.Canary < 0 || p.Canary > mostCanary:
		return wrong("canary", "must be 0 to "+strconv.Itoa(mostCanary)+" letters")
	case stopAbove < 0 || stopAbove > 100:
		return wrong("stop_above", "must be 0 to 100 percent")
	case stopAfter < 1 || stopAfter > deadletter.MaxJob:
		return wrong("stop_after", "must be 1 to "+strconv.Itoa(deadletter.MaxJob)+" outcomes")
	case p.Rate < 1 || p.Rate > mostRate:
		return wrong("rate", "must be 1 to "+strconv.Itoa(mostRate)+" letters a second")
	}
	p.Filter.Tenant, p.Filter.State, p.Filter.Guard = tenant, p.needs(), guard
	p.Filter.Undoable = p.Kind == deadletter.JobUndo
	if err := checkFilter(p.Filter); err != nil {
		return deadletter.Job{}, err
	}
	return deadletter.Job{
		Tenant: tenant, Kind: p.Kind, Filter: *p.Filter, IncludeMaybe: p.IncludeMaybe, IncludeHeld: p.IncludeHeld, Rate: p.Rate,
		Canary: p.Canary, StopAbove: stopAbove, StopAfter: stopAfter, Actor: act.Actor, Reason: act.Reason,
	}, nil
}

// needs is the state that the job's letters are in before.
func (p *jobPost) needs() string {
	if p.Kind == deadletter.JobUndo {
		return deadletter.Discarded
	}
	return deadletter.Open
}

// dryRun tells what a job would meet, and does nothing.
func (s *Server) dryRun(c echo.Context, j *deadletter.Job) error {
	ctx := c.Request().Context()
	count := func(change func(*deadletter.Filter)) (int64, error) {
		f := j.Filter
		change(&f)
		counts, _, err := s.cfg.Letters.Counts(ctx, f, 0) // whole: somebody decides by it
		return counts[f.State], err
	}
	all, err := count(func(*deadletter.Filter) {})
	if err != nil {
		return err
	}
	maybe, err := count(func(f *deadletter.Filter) {
		if f.Executed == "" {
			f.Executed = "maybe"
		}
	})
	if err != nil {
		return err
	}
	if j.Filter.Executed == "no" {
		maybe = 0
	}
	held, err := count(func(f *deadletter.Filter) { f.Held = true })
	if err != nil {
		return err
	}
	before := s.cfg.Clock.Now().Add(-old)
	aged, err := count(func(f *deadletter.Filter) {
		if f.Before.IsZero() || f.Before.After(before) {
			f.Before = before
		}
	})
	if err != nil {
		return err
	}
	found, _, err := s.cfg.Letters.Groups(ctx, j.Filter, dryGroups, 0)
	if err != nil {
		return err
	}
	groups, err := s.groupsOf(ctx, j.Tenant, found)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, map[string]any{
		"dry_run": true, "letters": all, "maybe": maybe, "held": held, "older_than_a_day": aged, "groups": groups,
	})
}
