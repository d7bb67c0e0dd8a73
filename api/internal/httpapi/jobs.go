package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/deadletter"
)

// job is one as it is told.
type job struct {
	JobID        string            `json:"job_id"`
	Kind         string            `json:"kind"`
	State        string            `json:"state"`
	Filter       deadletter.Filter `json:"filter"`
	IncludeMaybe bool              `json:"include_maybe"`
	Rate         int               `json:"rate"`
	Total        int64             `json:"total"`
	Waiting      int64             `json:"waiting"`
	// Results counts letters by what became of them.
	Results    map[string]int64 `json:"results"`
	Actor      string           `json:"actor"`
	Reason     string           `json:"reason"`
	CreatedAt  time.Time        `json:"created_at"`
	FinishedAt *time.Time       `json:"finished_at,omitempty"`
}

func jobOf(j *deadletter.Job) job {
	told := job{
		JobID: j.JobID.String(), Kind: j.Kind, State: j.State, Filter: j.Filter, IncludeMaybe: j.IncludeMaybe, Rate: j.Rate,
		Total: j.Total, Waiting: j.Results[""], Results: map[string]int64{}, Actor: j.Actor, Reason: j.Reason,
		CreatedAt: j.Created, FinishedAt: moment(j.Finished),
	}
	for result, n := range j.Results {
		if result != "" {
			told.Results[result] = n
		}
	}
	return told
}

const (
	usualRate = 10 // letters a second
	mostRate  = 500
	dryGroups = 20
	// old is the ledger's usual memory: what died before it may be posted again by its client.
	old = 24 * time.Hour
)

// jobPost asks for a job.
type jobPost struct {
	action
	Kind   string             `json:"kind"`
	Filter *deadletter.Filter `json:"filter"`
	Rate   int                `json:"rate"`
	DryRun bool               `json:"dry_run"`
}

func (s *Server) createJob(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	var body jobPost
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	j, err := body.job(who, tenant)
	if err != nil {
		return err
	}
	if body.DryRun {
		return s.dryRun(c, &j)
	}
	made, err := s.cfg.Letters.NewJob(c.Request().Context(), j)
	switch {
	case errors.Is(err, deadletter.ErrTooMany):
		return problem.New(problem.InvalidRequest, "it chooses more than %d letters: narrow it", deadletter.MaxJob).At("filter")
	case err != nil:
		return err
	}
	return answer(c, http.StatusAccepted, jobOf(&made))
}

// job checks what was asked for.
func (p *jobPost) job(who auth.Principal, tenant string) (deadletter.Job, error) {
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
	switch {
	case err != nil:
		return deadletter.Job{}, err
	case p.Actor == "" && !p.DryRun:
		return wrong("actor", "say who")
	case p.Kind != deadletter.JobRedrive && p.Kind != deadletter.JobDiscard:
		return wrong("kind", "must be redrive or discard")
	case p.Filter == nil:
		return wrong("filter", "is missing; {} chooses every open letter")
	case p.Filter.State != "" && p.Filter.State != deadletter.Open:
		return wrong("filter.state", "only open letters can be acted on")
	case p.Rate < 1 || p.Rate > mostRate:
		return wrong("rate", "must be 1 to "+strconv.Itoa(mostRate)+" letters a second")
	}
	p.Filter.Tenant, p.Filter.State = tenant, deadletter.Open
	if err := checkFilter(p.Filter); err != nil {
		return deadletter.Job{}, err
	}
	return deadletter.Job{
		Tenant: tenant, Kind: p.Kind, Filter: *p.Filter, IncludeMaybe: p.IncludeMaybe, Rate: p.Rate, Actor: act.Actor, Reason: act.Reason,
	}, nil
}

// dryRun tells what a job would meet, and does nothing.
func (s *Server) dryRun(c echo.Context, j *deadletter.Job) error {
	ctx := c.Request().Context()
	count := func(change func(*deadletter.Filter)) (int64, error) {
		f := j.Filter
		change(&f)
		counts, err := s.cfg.Letters.Counts(ctx, f)
		return counts[deadletter.Open], err
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
	before := s.cfg.Clock.Now().Add(-old)
	aged, err := count(func(f *deadletter.Filter) {
		if f.Before.IsZero() || f.Before.After(before) {
			f.Before = before
		}
	})
	if err != nil {
		return err
	}
	groups, err := s.cfg.Letters.Groups(ctx, j.Filter, dryGroups)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, map[string]any{
		"dry_run": true, "letters": all, "maybe": maybe, "older_than_a_day": aged, "groups": groupsOf(groups),
	})
}

// ofJob reads whose job the path names.
func ofJob(c echo.Context, who auth.Principal, params ...string) (tenant string, id uuid.UUID, err error) {
	if err := knownParams(c, append(params, "tenant")...); err != nil {
		return "", id, err
	}
	if tenant, err = tenantOf(c, who); err != nil {
		return "", id, err
	}
	id, err = uuid.Parse(param(c, "job_id"))
	if err != nil {
		return "", id, unknownJob()
	}
	return tenant, id, nil
}

func unknownJob() error { return problem.New(problem.UnknownJob, "no such job, or another tenant's") }

func (s *Server) tellJob(c echo.Context, tenant string, id uuid.UUID) error {
	j, err := s.cfg.Letters.Job(c.Request().Context(), tenant, id)
	if errors.Is(err, deadletter.ErrNoJob) {
		return unknownJob()
	}
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, jobOf(&j))
}

func (s *Server) getJob(c echo.Context, who auth.Principal) error {
	tenant, id, err := ofJob(c, who)
	if err != nil {
		return err
	}
	return s.tellJob(c, tenant, id)
}

// jobItem is what became of one letter.
type jobItem struct {
	Position int64      `json:"position"`
	LetterID string     `json:"letter_id"`
	Result   string     `json:"result"`
	Detail   string     `json:"detail,omitempty"`
	DoneAt   *time.Time `json:"done_at,omitempty"`
}

func (s *Server) listJobItems(c echo.Context, who auth.Principal) error {
	tenant, id, err := ofJob(c, who, "after", "limit")
	if err != nil {
		return err
	}
	limit, err := limitParam(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	var after int64
	if text := c.QueryParam("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return problem.New(problem.InvalidParameter, "must be what next of the page before said").At("after")
		}
	}
	found, err := s.cfg.Letters.Items(c.Request().Context(), tenant, id, after, limit)
	if err != nil {
		return err
	}
	items := make([]jobItem, len(found))
	for i, one := range found {
		items[i] = jobItem{one.Position, one.LetterID.String(), one.Result, one.Detail, moment(one.Done)}
	}
	return answerPage(c, "items", items, limit, func(i jobItem) string { return strconv.FormatInt(i.Position, 10) })
}

// changeJob is the handler that moves a job to a state.
func changeJob(to string, from ...string) handler {
	return func(s *Server, c echo.Context, who auth.Principal) error {
		tenant, id, err := ofJob(c, who)
		if err != nil {
			return err
		}
		var a action
		if err := readInto(c, maxSmall, &a); err != nil {
			return err
		}
		act, err := a.act(who)
		if err != nil {
			return err
		}
		err = s.cfg.Letters.ChangeJob(c.Request().Context(), tenant, id, act, to, from...)
		var state *deadletter.JobError
		switch {
		case errors.Is(err, deadletter.ErrNoJob):
			return unknownJob()
		case errors.As(err, &state):
			return problem.New(problem.JobState, "%s", state.Error())
		case err != nil:
			return err
		}
		return s.tellJob(c, tenant, id)
	}
}
