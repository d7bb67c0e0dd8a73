package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/identity"
)

// tenant is what is told of one.
type tenant struct {
	Tenant    string    `json:"tenant"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

func tenantTold(t identity.Tenant) tenant { return tenant{t.ID, t.Name, t.Created} }

// ofTenant lets a request reach the tenant that its path names: the key's own, and with ops:platform any.
func ofTenant(c echo.Context, who auth.Principal) (string, error) {
	id := param(c, "tenant")
	if id == who.Tenant {
		return id, nil
	}
	if err := auth.Require(who, auth.OpsPlatform); err != nil {
		return "", err
	}
	within(c, id)
	return id, nil
}

// listTenants tells a key of its own tenant only, unless it is the platform's.
func (s *Server) listTenants(c echo.Context, who auth.Principal) error {
	after, limit, err := page(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	var found []identity.Tenant
	if who.Has(auth.OpsPlatform) {
		if found, err = s.cfg.Keys.Tenants(ctx, after, limit); err != nil {
			return err
		}
	} else if who.Tenant > after {
		own, err := s.cfg.Keys.Tenant(ctx, who.Tenant)
		if err != nil {
			return tenantProblem(err)
		}
		found = []identity.Tenant{own}
	}
	tenants := make([]tenant, len(found))
	for i, t := range found {
		tenants[i] = tenantTold(t)
	}
	return answerPage(c, "tenants", tenants, limit, func(t tenant) string { return t.Tenant })
}

// getTenant answers for another's tenant as for one that does not exist.
func (s *Server) getTenant(c echo.Context, who auth.Principal) error {
	id, err := ofTenant(c, who)
	if err != nil {
		return problem.From(problem.UnknownTenant, nil)
	}
	found, err := s.cfg.Keys.Tenant(c.Request().Context(), id)
	if err != nil {
		return tenantProblem(err)
	}
	return answer(c, http.StatusOK, tenantTold(found))
}

// maxTenantName is the longest name of a tenant for people, in characters.
const maxTenantName = 128

func (s *Server) putTenant(c echo.Context, who auth.Principal) error {
	id, err := ofTenant(c, who)
	if err != nil {
		return err
	}
	var body struct {
		Tenant *string `json:"tenant"`
		Name   string  `json:"name"`
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	if err := samePath("tenant", body.Tenant, id); err != nil {
		return err
	}
	if err := topology.CheckName("tenant", id); err != nil {
		return invalid([]string{err.Error()})
	}
	if utf8.RuneCountInString(body.Name) > maxTenantName || strings.ContainsFunc(body.Name, unicode.IsControl) {
		return problem.New(problem.InvalidRequest, "must be at most %d characters, without control characters", maxTenantName).At("name")
	}
	ctx := c.Request().Context()
	created, err := s.cfg.Keys.PutTenant(ctx, id, body.Name)
	if err != nil {
		return err
	}
	stands, err := s.cfg.Keys.Tenant(ctx, id)
	if err != nil {
		return tenantProblem(err)
	}
	s.recordFor(c, who, id, audit.Entry{Action: "put_tenant", Detail: body.Name})
	return answer(c, createdOr200(created), tenantTold(stands))
}

func (s *Server) deleteTenant(c echo.Context, who auth.Principal) error {
	id, err := ofTenant(c, who)
	if err != nil {
		return err
	}
	if err := s.cfg.Keys.DeleteTenant(c.Request().Context(), id); err != nil {
		return tenantProblem(err)
	}
	s.recordFor(c, who, id, audit.Entry{Action: "delete_tenant"})
	return c.NoContent(http.StatusNoContent)
}

func tenantProblem(err error) error {
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return problem.From(problem.UnknownTenant, nil)
	case errors.Is(err, identity.ErrInUse):
		return problem.New(problem.InUse, "it has keys, device types or devices, or is the platform's own")
	}
	return err
}
