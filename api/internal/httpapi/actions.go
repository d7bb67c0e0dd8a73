package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/deadletter"
)

// letterID is the letter that the path names.
func letterID(c echo.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(param(c, "letter_id"))
	if err != nil {
		return uuid.Nil, problem.New(problem.UnknownLetter, "no such letter, or another tenant's")
	}
	return id, nil
}

// action is the body of what is done to one letter.
type action struct {
	Reason       string `json:"reason"`
	Actor        string `json:"actor"`
	IncludeMaybe bool   `json:"include_maybe"`
}

const (
	maxReason = 1000 // bytes
	maxActor  = 128
)

// act checks who does something, and why. The key is always named; a person may be.
func (a *action) act(who auth.Principal) (deadletter.Act, error) {
	if strings.TrimSpace(a.Reason) == "" || len(a.Reason) > maxReason {
		return deadletter.Act{}, problem.New(problem.InvalidRequest, "say why, in 1 to %d bytes", maxReason).At("reason")
	}
	if len(a.Actor) > maxActor {
		return deadletter.Act{}, problem.New(problem.InvalidRequest, "at most %d bytes", maxActor).At("actor")
	}
	actor := "key " + who.KeyID
	if a.Actor != "" {
		actor = a.Actor + " (" + actor + ")"
	}
	return deadletter.Act{Actor: actor, Reason: a.Reason}, nil
}

// acting reads what every action on one letter needs.
func acting(c echo.Context, who auth.Principal) (tenant string, id uuid.UUID, a action, act deadletter.Act, err error) {
	if err = knownParams(c, "tenant"); err == nil {
		tenant, err = tenantOf(c, who)
	}
	if err == nil {
		id, err = letterID(c)
	}
	if err == nil {
		err = readInto(c, maxSmall, &a)
	}
	if err == nil {
		act, err = a.act(who)
	}
	return tenant, id, a, act, err
}

// redriveLetter bounds its own waits: the database's, and the broker's for the confirm.
func (s *Server) redriveLetter(c echo.Context, who auth.Principal) error {
	tenant, id, a, act, err := acting(c, who)
	if err != nil {
		return err
	}
	done, err := s.cfg.Desk.Redrive(c.Request().Context(), tenant, id, act, a.IncludeMaybe)
	if err != nil {
		return err
	}
	status, state := http.StatusOK, deadletter.Redriven
	if done.Pending {
		status, state = http.StatusAccepted, deadletter.Redriving
	}
	return answer(c, status, map[string]any{
		"letter_id": id.String(), "state": state, "redriven_as": done.CommandID.String(), "redrive_number": done.Number,
	})
}

func (s *Server) discardLetter(c echo.Context, who auth.Principal) error {
	tenant, id, _, act, err := acting(c, who)
	if err != nil {
		return err
	}
	l, err := s.cfg.Desk.Discard(c.Request().Context(), tenant, id, act)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, letterOf(&l))
}

// foundLetter reads the letter that the path names, or says that there is none.
func (s *Server) foundLetter(c echo.Context, who auth.Principal) (deadletter.Letter, error) {
	if err := knownParams(c, "tenant"); err != nil {
		return deadletter.Letter{}, err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return deadletter.Letter{}, err
	}
	id, err := letterID(c)
	if err != nil {
		return deadletter.Letter{}, err
	}
	l, err := s.cfg.Letters.Get(c.Request().Context(), tenant, id)
	if errors.Is(err, deadletter.ErrNotFound) {
		err = ops.Refusal(err)
	}
	return l, err
}
