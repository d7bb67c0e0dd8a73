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
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/identity"
)

// key is what is told of a key. Token is there once, when it was made.
type key struct {
	Key        string     `json:"key"`
	Client     string     `json:"client"`
	Name       string     `json:"name,omitempty"`
	Scopes     []string   `json:"scopes"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	Token      string     `json:"token,omitempty"`
}

func keyOf(k identity.Key) key {
	return key{
		Key: k.ID, Client: k.Client, Name: k.Name, Scopes: k.Scopes, CreatedAt: k.Created.UTC(),
		ExpiresAt: moment(k.Expires), RevokedAt: moment(k.Revoked), LastUsedAt: moment(k.LastUsed),
	}
}

func (s *Server) listKeys(c echo.Context, who auth.Principal) error {
	after, limit, err := page(c)
	if err != nil {
		return err
	}
	found, err := s.cfg.Keys.Keys(c.Request().Context(), who.Tenant, after, limit)
	if err != nil {
		return err
	}
	keys := make([]key, len(found))
	for i, k := range found {
		keys[i] = keyOf(k)
	}
	return answerPage(c, "keys", keys, limit, func(k key) string { return k.Key })
}

func (s *Server) createKey(c echo.Context, who auth.Principal) error {
	var body struct {
		Client    string    `json:"client"`
		Name      string    `json:"name"`
		Scopes    []string  `json:"scopes"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := readInto(c, maxSmall, &body); err != nil {
		return err
	}
	asked := identity.NewKey{Tenant: who.Tenant, Client: body.Client, Name: body.Name, Scopes: body.Scopes, Expires: body.ExpiresAt}
	if wrong := catalog.CheckKey(asked, s.cfg.Clock.Now()); len(wrong) > 0 {
		return invalid(wrong)
	}
	// The platform's own right cannot be had by asking for it.
	if slices.Contains(asked.Scopes, string(auth.OpsPlatform)) {
		if err := auth.Require(who, auth.OpsPlatform); err != nil {
			return err
		}
	}
	token, made, err := s.cfg.Keys.CreateKey(c.Request().Context(), asked)
	if err != nil {
		return err
	}
	s.record(c, who, audit.Entry{Action: "create_key", Client: made.Client, Detail: made.ID})
	told := keyOf(made)
	told.Token = token
	return answer(c, http.StatusCreated, told)
}

func (s *Server) revokeKey(c echo.Context, who auth.Principal) error {
	id := param(c, "key")
	err := s.cfg.Keys.RevokeKey(c.Request().Context(), who.Tenant, id)
	switch {
	case errors.Is(err, identity.ErrNotFound):
		return problem.From(problem.UnknownKey, nil)
	case err != nil:
		return err
	}
	s.record(c, who, audit.Entry{Action: "revoke_key", Detail: id})
	return c.NoContent(http.StatusNoContent)
}
