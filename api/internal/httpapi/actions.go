package httpapi

import (
	"context"
	"encoding/json"
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
	IncludeHeld  bool   `json:"include_held"`
}

// redrivePost asks for a redrive.
type redrivePost struct {
	action
	Params json.RawMessage `json:"params"`
	DryRun bool            `json:"dry_run"`
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
	actor, err := actorOf(who, a.Actor)
	return deadletter.Act{Actor: actor, Reason: a.Reason}, err
}

func actorOf(who auth.Principal, said string) (string, error) {
	if len(said) > maxActor {
		return "", problem.New(problem.InvalidRequest, "at most %d bytes", maxActor).At("actor")
	}
	actor := who.Actor()
	if said != "" {
		actor = said + " (" + actor + ")"
	}
	return actor, nil
}

// ofLetter reads whose letter the path names.
func ofLetter(c echo.Context, who auth.Principal, params ...string) (tenant string, id uuid.UUID, err error) {
	if err = knownParams(c, append(params, "tenant")...); err == nil {
		tenant, err = tenantOf(c, who)
	}
	if err == nil {
		id, err = letterID(c)
	}
	return tenant, id, err
}

// redriveLetter bounds its own waits: the database's, and the broker's for the confirm.
func (s *Server) redriveLetter(c echo.Context, who auth.Principal) error {
	tenant, id, err := ofLetter(c, who)
	if err != nil {
		return err
	}
	var body redrivePost
	if err := readInto(c, maxRedrive, &body); err != nil {
		return err
	}
	wish := ops.Wish{IncludeMaybe: body.IncludeMaybe, IncludeHeld: body.IncludeHeld, Params: body.Params}
	if body.DryRun {
		changes, err := s.cfg.Desk.Preview(c.Request().Context(), tenant, id, wish)
		if err != nil {
			return err
		}
		return answer(c, http.StatusOK, map[string]any{"dry_run": true, "letter_id": id.String(), "changes": changesOf(changes)})
	}
	act, err := body.act(who)
	if err != nil {
		return err
	}
	done, err := s.cfg.Desk.Redrive(c.Request().Context(), tenant, id, act, wish)
	if err != nil {
		return err
	}
	status, state := http.StatusOK, deadletter.Redriven
	if done.Pending {
		status, state = http.StatusAccepted, deadletter.Redriving
	}
	return answer(c, status, map[string]any{
		"letter_id": id.String(), "state": state, "redriven_as": done.CommandID.String(), "redrive_number": done.Number,
		"changes": changesOf(done.Changes),
	})
}

// changesOf is a list also where there is none.
func changesOf(changes []ops.Change) []ops.Change {
	if changes == nil {
		return []ops.Change{}
	}
	return changes
}

func (s *Server) discardLetter(c echo.Context, who auth.Principal) error {
	return s.actOn(c, who, s.cfg.Desk.Discard)
}

func (s *Server) undoDiscard(c echo.Context, who auth.Principal) error {
	return s.actOn(c, who, s.cfg.Desk.Undo)
}

// actOn does to one letter what needs nothing but who and why, and tells of it as it stands then.
func (s *Server) actOn(c echo.Context, who auth.Principal, do func(context.Context, string, uuid.UUID, deadletter.Act) (deadletter.Letter, error)) error {
	tenant, id, err := ofLetter(c, who)
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
	l, err := do(c.Request().Context(), tenant, id, act)
	if err != nil {
		return err
	}
	told := s.lettersOf([]deadletter.Letter{l})
	if err := s.marked(c.Request().Context(), tenant, told); err != nil {
		return err
	}
	return answer(c, http.StatusOK, told[0])
}

// foundLetter reads the letter that the path names, or says that there is none.
func (s *Server) foundLetter(c echo.Context, who auth.Principal) (deadletter.Letter, error) {
	tenant, id, err := ofLetter(c, who)
	if err != nil {
		return deadletter.Letter{}, err
	}
	l, err := s.cfg.Letters.Get(c.Request().Context(), tenant, id)
	if errors.Is(err, deadletter.ErrNotFound) {
		err = ops.Refusal(err)
	}
	return l, err
}
