package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/catalog"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/identity"
)

// key is what is told of a key. Token is there once, when it was made.
type key struct {
	Key        string        `json:"key"`
	Client     string        `json:"client"`
	Name       string        `json:"name,omitempty"`
	Scopes     []string      `json:"scopes"`
	Devices    *device.Reach `json:"devices,omitempty"`
	Replaces   string        `json:"replaces,omitempty"`
	CreatedAt  time.Time     `json:"created_at"`
	ExpiresAt  *time.Time    `json:"expires_at,omitempty"`
	RevokedAt  *time.Time    `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time    `json:"last_used_at,omitempty"`
	Token      string        `json:"token,omitempty"`
}

func keyOf(k identity.Key) key {
	told := key{
		Key: k.ID, Client: k.Client, Name: k.Name, Scopes: k.Scopes, Replaces: k.Replaces, CreatedAt: k.Created.UTC(),
		ExpiresAt: moment(k.Expires), RevokedAt: moment(k.Revoked), LastUsedAt: moment(k.LastUsed),
	}
	if !k.Reach.All() {
		told.Devices = &k.Reach
	}
	return told
}

func (s *Server) listKeys(c echo.Context, who auth.Principal) error {
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	after, limit, err := page(c)
	if err != nil {
		return err
	}
	found, err := s.cfg.Keys.Keys(c.Request().Context(), tenant, after, limit)
	if err != nil {
		return err
	}
	keys := make([]key, len(found))
	for i, k := range found {
		keys[i] = keyOf(k)
	}
	return answerPage(c, "keys", keys, limit, func(k key) string { return k.Key })
}

func (s *Server) getKey(c echo.Context, who auth.Principal) error {
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	found, err := s.cfg.Keys.Key(c.Request().Context(), tenant, param(c, "key"))
	if err != nil {
		return keyProblem(err)
	}
	return answer(c, http.StatusOK, keyOf(found))
}

func (s *Server) createKey(c echo.Context, who auth.Principal) error {
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	var body struct {
		Client    string       `json:"client"`
		Name      string       `json:"name"`
		Scopes    []string     `json:"scopes"`
		Devices   device.Reach `json:"devices"`
		ExpiresAt time.Time    `json:"expires_at"`
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	asked := identity.NewKey{
		Tenant: tenant, Client: body.Client, Name: body.Name, Scopes: body.Scopes, Reach: body.Devices, Expires: body.ExpiresAt,
	}
	if wrong := catalog.CheckKey(asked, s.cfg.Clock.Now()); len(wrong) > 0 {
		return invalid(wrong)
	}
	if err := mayGive(who, asked.Scopes); err != nil {
		return err
	}
	token, made, err := s.cfg.Keys.CreateKey(c.Request().Context(), asked)
	switch {
	case errors.Is(err, identity.ErrNotFound): // of a tenant that was asked for, or deleted since
		return problem.From(problem.UnknownTenant, nil)
	case err != nil:
		return keyProblem(err)
	}
	s.recordFor(c, who, tenant, audit.Entry{Action: "create_key", Client: made.Client, Detail: made.ID})
	return answerToken(c, token, made)
}

// mayGive keeps the platform's own right from being had by asking for it.
func mayGive(who auth.Principal, scopes []string) error {
	if slices.Contains(scopes, string(auth.OpsPlatform)) {
		return auth.Require(who, auth.OpsPlatform)
	}
	return nil
}

func answerToken(c echo.Context, token string, made identity.Key) error {
	told := keyOf(made)
	told.Token = token
	return answer(c, http.StatusCreated, told)
}

// Overlap of a rotation, of a key or a device's credential: the old and the new one are good for so long.
const (
	usualOverlap = 24 * time.Hour
	maxOverlap   = 30 * 24 * time.Hour
)

func (s *Server) rotateKey(c echo.Context, who auth.Principal) error {
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	var body struct {
		Overlap   *device.Duration `json:"overlap"`
		ExpiresAt time.Time        `json:"expires_at"`
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	overlap := usualOverlap
	if body.Overlap != nil {
		overlap = time.Duration(*body.Overlap)
	}
	if overlap < 0 || overlap > maxOverlap {
		return problem.New(problem.InvalidRequest, "must be 0s to %s", maxOverlap).At("overlap")
	}
	if !body.ExpiresAt.IsZero() && !body.ExpiresAt.After(s.cfg.Clock.Now()) {
		return problem.New(problem.InvalidRequest, "must lie ahead").At("expires_at")
	}
	ctx, id := c.Request().Context(), param(c, "key")
	// The token of a key with the platform's own right is given only to one that has it.
	old, err := s.cfg.Keys.Key(ctx, tenant, id)
	if err == nil {
		err = mayGive(who, old.Scopes)
	}
	if err != nil {
		return keyProblem(err)
	}
	token, made, err := s.cfg.Keys.RotateKey(ctx, tenant, id, overlap, body.ExpiresAt)
	if err != nil {
		return keyProblem(err)
	}
	s.recordFor(c, who, tenant, audit.Entry{Action: "rotate_key", Client: made.Client, Detail: id + " is replaced by " + made.ID})
	return answerToken(c, token, made)
}

func (s *Server) revokeKey(c echo.Context, who auth.Principal) error {
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	id := param(c, "key")
	if err := s.cfg.Keys.RevokeKey(c.Request().Context(), tenant, id); err != nil {
		return keyProblem(err)
	}
	s.recordFor(c, who, tenant, audit.Entry{Action: "revoke_key", Detail: id})
	return c.NoContent(http.StatusNoContent)
}

// keyProblem gives the store's words their own here.
func keyProblem(err error) error {
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return problem.From(problem.UnknownKey, nil)
	case errors.Is(err, identity.ErrEnded):
		return problem.New(problem.KeyEnded, "it was revoked, or its time is over: make a new one")
	case errors.Is(err, identity.ErrReach):
		return problem.New(problem.OtherReach, "outcomes are the client's, whichever key it sent with: take another client, or the same devices")
	}
	return err
}
