package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/erasure"
	"github.com/cupline/cupline/store/retention"
)

// keepingRoutes are those of what is kept for how long, and of what is erased.
func keepingRoutes() []route {
	return []route{
		{http.MethodGet, "/v1/retention", auth.OpsRead, stored((*Server).getRetention)},
		{http.MethodPut, "/v1/retention", auth.TenantsAdmin, stored((*Server).putRetention)},
		{http.MethodGet, "/v1/erasures", auth.OpsRead, stored((*Server).listErasures)},
		{http.MethodPost, "/v1/erasures", auth.TenantsAdmin, stored((*Server).createErasure)},
		{http.MethodGet, "/v1/erasures/:erasure_id", auth.OpsRead, stored((*Server).getErasure)},
	}
}

// terms are for how long things are kept; what is absent is as the platform has it.
type terms struct {
	Letters *device.Duration `json:"letters,omitempty"`
	Audit   *device.Duration `json:"audit,omitempty"`
	Ledger  *device.Duration `json:"ledger,omitempty"`
	Mailbox *device.Duration `json:"mailbox,omitempty"`
}

func termsOf(t retention.Terms) terms {
	of := func(d time.Duration) *device.Duration {
		if d == 0 {
			return nil
		}
		told := device.Duration(d)
		return &told
	}
	return terms{of(t.Letters), of(t.Audit), of(t.Ledger), of(t.Mailbox)}
}

func (t *terms) terms() retention.Terms {
	of := func(d *device.Duration) time.Duration {
		if d == nil {
			return 0
		}
		return time.Duration(*d)
	}
	return retention.Terms{Letters: of(t.Letters), Audit: of(t.Audit), Ledger: of(t.Ledger), Mailbox: of(t.Mailbox)}
}

func (s *Server) getRetention(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	return s.tellRetention(c, tenant)
}

func (s *Server) tellRetention(c echo.Context, tenant string) error {
	own, inForce, err := s.cfg.Retention.Get(c.Request().Context(), tenant)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, map[string]any{"tenant": tenant, "own": termsOf(own), "in_force": termsOf(inForce)})
}

func (s *Server) putRetention(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	var body struct {
		action
		terms
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	act, err := body.act(who)
	if err != nil {
		return err
	}
	own := body.terms.terms()
	var wrong *retention.TermError
	if err := own.Check(); errors.As(err, &wrong) {
		return problem.New(problem.InvalidRequest, "%s", err.Error()).At(wrong.Term)
	}
	for _, given := range []*device.Duration{body.Letters, body.Audit, body.Ledger, body.Mailbox} {
		if given != nil && *given == 0 {
			return problem.New(problem.InvalidRequest, "0s is no term; leave it out for the platform's")
		}
	}
	if err := s.cfg.Retention.Put(c.Request().Context(), tenant, own, act.Actor, act.Reason); err != nil {
		return err
	}
	return s.tellRetention(c, tenant)
}

// erased is an erasure as it is told.
type erased struct {
	ErasureID string `json:"erasure_id"`
	// Client is absent for a whole tenant's.
	Client     string     `json:"client,omitempty"`
	State      string     `json:"state"`
	Actor      string     `json:"actor"`
	Reason     string     `json:"reason"`
	CreatedAt  time.Time  `json:"created_at"`
	DueAt      *time.Time `json:"due_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Letters    int64      `json:"letters"`
	Outcomes   int64      `json:"outcomes"`
	Commands   int64      `json:"commands"`
}

func erasedOf(e *erasure.Erasure) erased {
	return erased{
		ErasureID: e.ErasureID.String(), Client: e.Client, State: e.State, Actor: e.Actor, Reason: e.Reason, CreatedAt: e.Created,
		DueAt: moment(e.Due), FinishedAt: moment(e.Finished), Letters: e.Letters, Outcomes: e.Outcomes, Commands: e.Commands,
	}
}

func (s *Server) createErasure(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	var body struct {
		action
		Client      string `json:"client"`
		WholeTenant bool   `json:"whole_tenant"`
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	act, err := body.act(who)
	switch {
	case err != nil:
		return err
	case body.WholeTenant == (body.Client != ""):
		return problem.New(problem.InvalidRequest, "name a client, or say whole_tenant").At("client")
	case body.WholeTenant && tenant == topology.SystemTenant:
		return problem.New(problem.InvalidRequest, "the platform itself cannot be erased").At("whole_tenant")
	case !body.WholeTenant:
		if err := topology.CheckID("client", body.Client); err != nil {
			return problem.New(problem.InvalidRequest, "%s", err.Error()).At("client")
		}
	}
	e, err := s.cfg.Erasures.Request(c.Request().Context(), tenant, body.Client, act.Actor, act.Reason)
	if errors.Is(err, erasure.ErrBusy) {
		return problem.New(problem.ErasureState, "an erasure of the same is under way")
	}
	if err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, erasedOf(&e))
}

// mostErasures is the most that one list tells.
const mostErasures = 100

func (s *Server) listErasures(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant", "limit"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	limit, err := limitParam(c, mostErasures, mostErasures)
	if err != nil {
		return err
	}
	found, err := s.cfg.Erasures.List(c.Request().Context(), tenant, limit)
	if err != nil {
		return err
	}
	all := make([]erased, len(found))
	for i := range found {
		all[i] = erasedOf(&found[i])
	}
	return answer(c, http.StatusOK, map[string]any{"erasures": all})
}

func (s *Server) getErasure(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	unknown := problem.New(problem.NotFound, "no such erasure, or another tenant's")
	id, err := uuid.Parse(param(c, "erasure_id"))
	if err != nil {
		return unknown
	}
	e, err := s.cfg.Erasures.Get(c.Request().Context(), tenant, id)
	if errors.Is(err, erasure.ErrNotFound) {
		return unknown
	}
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, erasedOf(&e))
}
