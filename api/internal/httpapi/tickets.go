package httpapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/store/identity"
)

// ticket is one as it is told, this once.
type ticket struct {
	Ticket    string    `json:"ticket"`
	GoodUntil time.Time `json:"good_until"`
}

// issueTicket makes a ticket that lets its bearer receive outcomes, and nothing else.
func (s *Server) issueTicket(c echo.Context, who auth.Principal) error {
	text, until, err := s.cfg.Keys.IssueTicket(c.Request().Context(), identity.Principal{
		Tenant: who.Tenant, Client: who.Client, KeyID: who.KeyID, Reach: who.Reach, Expires: who.Expires,
	}, []string{string(auth.RepliesRead)})
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, ticket{text, until})
}
