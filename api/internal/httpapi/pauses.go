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
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/drain"
	"github.com/cupline/cupline/store/registry"
)

// asked reads who does something, and why.
func asked(c echo.Context, who auth.Principal) (registry.Act, error) {
	var a action
	if err := readInto(c, maxSmall, &a); err != nil {
		return registry.Act{}, err
	}
	act, err := a.act(who)
	return registry.Act{Actor: act.Actor, Reason: act.Reason}, err
}

// refusedPause turns what the registry says into the word for it.
func refusedPause(err error, unknown *problem.Problem) error {
	var already *registry.PauseError
	switch {
	case errors.As(err, &already):
		return problem.New(problem.PauseState, "%s", already.Error())
	case errors.Is(err, registry.ErrNotFound):
		return unknown
	}
	return err
}

// pausingDevice is the handler that pauses a device, or lets it go on.
func pausingDevice(paused bool) handler {
	return func(s *Server, c echo.Context, who auth.Principal) error {
		tenant, err := onlyTenant(c, who)
		if err != nil {
			return err
		}
		act, err := asked(c, who)
		if err != nil {
			return err
		}
		ctx, device := c.Request().Context(), param(c, "device")
		if err := s.cfg.Registry.SetDevicePaused(ctx, tenant, device, paused, act); err != nil {
			return refusedPause(err, problem.From(problem.UnknownDevice, nil))
		}
		d, err := s.cfg.Registry.Device(ctx, tenant, device)
		if err != nil {
			return missing(err, problem.UnknownDevice)
		}
		return answer(c, http.StatusOK, d)
	}
}

// onlyTenant is tenantOf for routes with no other parameter.
func onlyTenant(c echo.Context, who auth.Principal) (string, error) {
	if err := knownParams(c, "tenant"); err != nil {
		return "", err
	}
	return tenantOf(c, who)
}

func unknownLane() *problem.Problem { return problem.New(problem.NotFound, "no such lane") }

// pausingLane is the handler that pauses a lane, or lets it go on.
func pausingLane(paused bool) handler {
	return func(s *Server, c echo.Context, who auth.Principal) error {
		if err := knownParams(c); err != nil {
			return err
		}
		act, err := asked(c, who)
		if err != nil {
			return err
		}
		within(c, topology.SystemTenant) // whose audit trail it stands in
		ctx, name := c.Request().Context(), param(c, "lane")
		if err := s.cfg.Registry.SetLanePaused(ctx, name, paused, act); err != nil {
			return refusedPause(err, unknownLane())
		}
		l, err := s.cfg.Registry.Lane(ctx, name)
		if err != nil {
			return refusedPause(err, unknownLane())
		}
		return answer(c, http.StatusOK, laneOf(l))
	}
}

// drained is a drain as it is told.
type drained struct {
	DrainID string `json:"drain_id"`
	Lane    string `json:"lane"`
	State   string `json:"state"`
	Rate    int    `json:"rate"`
	// Total that waited when it began; null where that was not known.
	Total      *int64     `json:"total"`
	Done       int64      `json:"done"`
	Actor      string     `json:"actor"`
	Reason     string     `json:"reason"`
	CreatedAt  time.Time  `json:"created_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

func drainedOf(d *drain.Drain) drained {
	told := drained{
		DrainID: d.DrainID.String(), Lane: d.Lane, State: d.State, Rate: d.Rate, Done: d.Done, Actor: d.Actor, Reason: d.Reason,
		CreatedAt: d.Created, FinishedAt: moment(d.Finished),
	}
	if d.Total >= 0 {
		told.Total = &d.Total
	}
	return told
}

const (
	usualDrainRate = 100 // commands a second
	mostDrainRate  = 500
)

// drainLane begins a drain, or tells how much waits.
func (s *Server) drainLane(c echo.Context, who auth.Principal) error {
	if err := knownParams(c); err != nil {
		return err
	}
	var body struct {
		action
		Rate   int  `json:"rate"`
		DryRun bool `json:"dry_run"`
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	if body.Rate == 0 {
		body.Rate = usualDrainRate
	}
	if body.Rate < 1 || body.Rate > mostDrainRate {
		return problem.New(problem.InvalidRequest, "%s", "must be 1 to "+strconv.Itoa(mostDrainRate)+" commands a second").At("rate")
	}
	act, err := body.act(who)
	if err != nil && !body.DryRun {
		return err
	}
	ctx, lane := c.Request().Context(), param(c, "lane")
	if _, err := s.cfg.Registry.Lane(ctx, lane); err != nil {
		return refusedPause(err, unknownLane())
	}
	waiting, err := s.cfg.Queues.Waiting(ctx, lane)
	if body.DryRun {
		if err != nil {
			return problem.From(problem.BrokerUnavailable, err)
		}
		return answer(c, http.StatusOK, map[string]any{"dry_run": true, "lane": lane, "waiting": waiting})
	}
	if err != nil {
		waiting = -1 // it begins when the broker is back
	}
	d, err := s.cfg.Drains.Start(ctx, drain.Drain{Lane: lane, Rate: body.Rate, Total: waiting, Actor: act.Actor, Reason: act.Reason})
	switch {
	case errors.Is(err, drain.ErrRunning):
		return problem.New(problem.DrainState, "%s", err.Error())
	case errors.Is(err, drain.ErrNotFound):
		return unknownLane()
	case err != nil:
		return err
	}
	return answer(c, http.StatusAccepted, drainedOf(&d))
}

func (s *Server) listDrains(c echo.Context, _ auth.Principal) error {
	if err := knownParams(c, "after", "limit"); err != nil {
		return err
	}
	after, err := uuidParam(c, "after")
	if err != nil {
		return err
	}
	limit, err := limitParam(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	found, err := s.cfg.Drains.List(c.Request().Context(), after, limit)
	if err != nil {
		return err
	}
	drains := make([]drained, len(found))
	for i := range found {
		drains[i] = drainedOf(&found[i])
	}
	return answerPage(c, "drains", drains, limit, func(d drained) string { return d.DrainID })
}

func (s *Server) getDrain(c echo.Context, _ auth.Principal) error {
	id, err := drainID(c)
	if err != nil {
		return err
	}
	d, err := s.cfg.Drains.Get(c.Request().Context(), id)
	if err != nil {
		return refusedDrain(err)
	}
	return answer(c, http.StatusOK, drainedOf(&d))
}

func (s *Server) cancelDrain(c echo.Context, who auth.Principal) error {
	id, err := drainID(c)
	if err != nil {
		return err
	}
	act, err := asked(c, who)
	if err != nil {
		return err
	}
	d, err := s.cfg.Drains.End(c.Request().Context(), id, drain.Cancelled, act.Actor, act.Reason)
	if err != nil {
		return refusedDrain(err)
	}
	return answer(c, http.StatusOK, drainedOf(&d))
}

func drainID(c echo.Context) (uuid.UUID, error) {
	if err := knownParams(c); err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(param(c, "drain_id"))
	if err != nil {
		return uuid.Nil, refusedDrain(drain.ErrNotFound)
	}
	return id, nil
}

func refusedDrain(err error) error {
	var over *drain.StateError
	switch {
	case errors.Is(err, drain.ErrNotFound):
		return problem.New(problem.UnknownDrain, "")
	case errors.As(err, &over):
		return problem.New(problem.DrainState, "%s", over.Error())
	}
	return err
}
