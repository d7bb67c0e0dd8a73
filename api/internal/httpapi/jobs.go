package httpapi

import (
	"errors"
	"net/http"
	"slices"
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
	IncludeHeld  bool              `json:"include_held"`
	Rate         int               `json:"rate"`
	Total        int64             `json:"total"`
	Waiting      int64             `json:"waiting"`
	// Results counts letters by what became of them, Outcomes those that were sent again by what that came to.
	Results    map[string]int64 `json:"results"`
	Outcomes   map[string]int64 `json:"outcomes"`
	Awaited    int64            `json:"awaited"`
	Canary     int              `json:"canary"`
	CanaryDue  bool             `json:"canary_due"`
	StopAbove  int              `json:"stop_above"`
	StopAfter  int              `json:"stop_after"`
	Stopped    string           `json:"stopped,omitempty"`
	Actor      string           `json:"actor"`
	Reason     string           `json:"reason"`
	CreatedAt  time.Time        `json:"created_at"`
	FinishedAt *time.Time       `json:"finished_at,omitempty"`
}

func jobOf(j *deadletter.Job) job {
	told := job{
		JobID: j.JobID.String(), Kind: j.Kind, State: j.State, Filter: j.Filter, IncludeMaybe: j.IncludeMaybe, Rate: j.Rate,
		Total: j.Total, Waiting: j.Results[""], Results: map[string]int64{}, Actor: j.Actor, Reason: j.Reason,
		CreatedAt: j.Created, FinishedAt: moment(j.Finished), IncludeHeld: j.IncludeHeld, Outcomes: map[string]int64{},
		Awaited: j.Outcomes[""], Canary: j.Canary, CanaryDue: j.CanaryDue, StopAbove: j.StopAbove, StopAfter: j.StopAfter, Stopped: j.Stopped,
	}
	for result, n := range j.Results {
		if result != "" {
			told.Results[result] = n
		}
	}
	for outcome, n := range j.Outcomes {
		if outcome != "" {
			told.Outcomes[outcome] = n
		}
	}
	return told
}

const (
	usualRate = 10 // letters a second
	mostRate  = 500
	// Each job of a list is told with its counts.
	usualJobs, mostJobs = 20, 100
	// A redrive stops itself once more than half of twenty outcomes or more are failures, unless told otherwise.
	usualStopAbove = 50
	usualStopAfter = 20
	mostCanary     = 1000
	dryGroups      = 20
	// old is the ledger's usual memory: what died before it may be posted again by its client.
	old = 24 * time.Hour
)

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
	j, err := body.job(who, tenant, s.cfg.LoopGuard)
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

func (s *Server) listJobs(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant", "kind", "state", "after", "limit"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	f := deadletter.JobFilter{Tenant: tenant, Kind: c.QueryParam("kind"), State: c.QueryParam("state")}
	if !slices.Contains([]string{"", deadletter.JobRedrive, deadletter.JobDiscard, deadletter.JobUndo}, f.Kind) {
		return problem.New(problem.InvalidParameter, "must be redrive, discard or undo").At("kind")
	}
	if !slices.Contains([]string{"", deadletter.JobRunning, deadletter.JobPaused, deadletter.JobCancelled, deadletter.JobDone}, f.State) {
		return problem.New(problem.InvalidParameter, "must be running, paused, cancelled or done").At("state")
	}
	after, err := uuidParam(c, "after")
	if err != nil {
		return problem.New(problem.InvalidParameter, "must be what next of the page before said").At("after")
	}
	limit, err := limitParam(c, usualJobs, mostJobs)
	if err != nil {
		return err
	}
	found, err := s.cfg.Letters.Jobs(c.Request().Context(), f, after, limit)
	if err != nil {
		return err
	}
	jobs := make([]job, len(found))
	for i := range found {
		jobs[i] = jobOf(&found[i])
	}
	return answerPage(c, "jobs", jobs, limit, func(j job) string { return j.JobID })
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
	Position  int64      `json:"position"`
	LetterID  string     `json:"letter_id"`
	Result    string     `json:"result"`
	Detail    string     `json:"detail,omitempty"`
	DoneAt    *time.Time `json:"done_at,omitempty"`
	CommandID string     `json:"command_id,omitempty"`
	// Outcome of that command; empty while it is waited for.
	Outcome   string     `json:"outcome,omitempty"`
	OutcomeAt *time.Time `json:"outcome_at,omitempty"`
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
	if len(found) == 0 { // behind the last one, or of no job
		if _, err := s.cfg.Letters.Job(c.Request().Context(), tenant, id); errors.Is(err, deadletter.ErrNoJob) {
			return unknownJob()
		} else if err != nil {
			return err
		}
	}
	items := make([]jobItem, len(found))
	for i, one := range found {
		items[i] = jobItem{one.Position, one.LetterID.String(), one.Result, one.Detail, moment(one.Done),
			uuidText(one.CommandID), one.Outcome, moment(one.OutcomeAt)}
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
