package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/credential"
)

// deviceRoutes are those of devices' own credentials.
func deviceRoutes() []route {
	return []route{
		{http.MethodGet, "/v1/devices/:device/credentials", auth.DevicesRead, stored((*Server).listCredentials)},
		{http.MethodPost, "/v1/devices/:device/credentials", auth.DevicesWrite, stored((*Server).createCredential)},
		{http.MethodDelete, "/v1/devices/:device/credentials/:credential", auth.DevicesWrite, stored((*Server).revokeCredential)},
	}
}

// deviceCredential is what is told of one. Username and Password are there once, when it was made.
type deviceCredential struct {
	Credential  string     `json:"credential"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	RevokedAt   *time.Time `json:"revoked_at,omitempty"`
	LastLoginAt *time.Time `json:"last_login_at,omitempty"`
	Username    string     `json:"username,omitempty"`
	Password    string     `json:"password,omitempty"`
}

func credentialOf(c credential.Credential) deviceCredential {
	return deviceCredential{
		Credential: c.ID, CreatedAt: c.Created.UTC(), ExpiresAt: moment(c.Expires), RevokedAt: moment(c.Revoked), LastLoginAt: moment(c.LastLogin),
	}
}

func (s *Server) listCredentials(c echo.Context, who auth.Principal) error {
	ctx, id := c.Request().Context(), param(c, "device")
	if _, err := s.cfg.Registry.Device(ctx, who.Tenant, id); err != nil {
		return missing(err, problem.UnknownDevice)
	}
	found, err := s.cfg.Credentials.List(ctx, who.Tenant, id)
	if err != nil {
		return err
	}
	told := make([]deviceCredential, len(found))
	for i, one := range found {
		told[i] = credentialOf(one)
	}
	return answer(c, http.StatusOK, map[string]any{"credentials": told})
}

func (s *Server) createCredential(c echo.Context, who auth.Principal) error {
	ctx, id := c.Request().Context(), param(c, "device")
	var body struct {
		ExpiresAt time.Time        `json:"expires_at"`
		Overlap   *device.Duration `json:"overlap"`
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	var wrong []string
	if !body.ExpiresAt.IsZero() && !body.ExpiresAt.After(s.cfg.Clock.Now()) {
		wrong = append(wrong, "expires_at: must lie ahead")
	}
	var overlap time.Duration
	if body.Overlap != nil {
		if overlap = time.Duration(*body.Overlap); overlap < 0 || overlap > maxOverlap {
			wrong = append(wrong, "overlap: must be 0s to "+maxOverlap.String())
		}
	}
	if len(wrong) > 0 {
		return invalid(wrong)
	}
	password, made, err := s.cfg.Credentials.Create(ctx, who.Tenant, id, body.ExpiresAt, body.Overlap != nil, overlap)
	switch {
	case errors.Is(err, credential.ErrNoDevice):
		return problem.From(problem.UnknownDevice, nil)
	case errors.Is(err, credential.ErrTooMany):
		return problem.New(problem.TooManyCredentials, "the device has %d credentials that are good: revoke one, or replace them with overlap", credential.MaxGood)
	case err != nil:
		return err
	}
	s.record(c, who, audit.Entry{Action: "create_credential", Device: id, Detail: made.ID})
	told := credentialOf(made)
	told.Username, told.Password = device.Login(who.Tenant, id), password
	return answer(c, http.StatusCreated, told)
}

func (s *Server) revokeCredential(c echo.Context, who auth.Principal) error {
	id, name := param(c, "device"), param(c, "credential")
	err := s.cfg.Credentials.Revoke(c.Request().Context(), who.Tenant, id, name)
	switch {
	case errors.Is(err, credential.ErrNotFound):
		return problem.From(problem.UnknownCredential, nil)
	case err != nil:
		return err
	}
	s.record(c, who, audit.Entry{Action: "revoke_credential", Device: id, Detail: name})
	return c.NoContent(http.StatusNoContent)
}
