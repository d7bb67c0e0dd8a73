package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/store/ledger"
)

// command is what the ledger says of one, in the words of the API.
type command struct {
	ID          json.RawMessage `json:"id"`
	CommandID   string          `json:"command_id"`
	Redrive     int             `json:"redrive"`
	Device      string          `json:"device"`
	Method      string          `json:"method"`
	Lane        string          `json:"lane"`
	State       string          `json:"state"`
	AcceptedAt  time.Time       `json:"accepted_at"`
	ExpiresAt   time.Time       `json:"expires_at"`
	StartedAt   *time.Time      `json:"started_at,omitempty"`
	DecidedAt   *time.Time      `json:"decided_at,omitempty"`
	DeliveredAt *time.Time      `json:"delivered_at,omitempty"`
	Origin      string          `json:"origin,omitempty"`
	Response    json.RawMessage `json:"response,omitempty"`
}

// States of a command that the ledger knows.
const (
	stateOpen    = "open"
	stateDecided = "decided"
)

func commandOf(r *ledger.Row) command {
	c := command{
		ID: r.RawID, CommandID: r.CommandID.String(), Redrive: r.Redrive,
		Device: r.Device, Method: r.Method, Lane: r.Lane, State: stateDecided,
		AcceptedAt: r.Accepted.UTC(), ExpiresAt: r.Deadline.UTC(),
		StartedAt: moment(r.Started), DecidedAt: moment(r.Decided), DeliveredAt: moment(r.Delivered),
		Origin: r.Origin, Response: r.Outcome,
	}
	if r.Open() {
		c.State = stateOpen
	}
	if len(c.ID) == 0 {
		c.ID = json.RawMessage("null")
	}
	return c
}

// moment is nil for a time that never was.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (s *Server) getCommand(c echo.Context, who auth.Principal) error {
	text := param(c, "command_id")
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return unknownCommand()
	}
	row, err := s.cfg.Ledger.ByCommandID(c.Request().Context(), who.Tenant, who.Client, id)
	switch {
	case errors.Is(err, ledger.ErrNoRow):
		return unknownCommand()
	case err != nil:
		return err
	}
	return answer(c, http.StatusOK, commandOf(&row))
}

func (s *Server) findCommands(c echo.Context, who auth.Principal) error {
	key, err := idKey(c.QueryParam("id"))
	if err != nil {
		return problem.New(problem.InvalidParameter, "%s", err.Error()).At("id")
	}
	rows, err := s.cfg.Ledger.ByID(c.Request().Context(), who.Tenant, who.Client, []byte(key))
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return unknownCommand()
	}
	found := make([]command, len(rows))
	for i := range rows {
		found[i] = commandOf(&rows[i])
	}
	return answer(c, http.StatusOK, map[string]any{"commands": found})
}

func unknownCommand() error {
	return problem.New(problem.UnknownCommand, "not started yet, never accepted, or forgotten")
}

// idKey reads a client's id from a query parameter: a JSON string, a plain integer, or any
// other text as it stands.
func idKey(text string) (string, error) {
	switch {
	case text == "":
		return "", errors.New("is missing")
	case text[0] == '"':
		if err := jsonrpc.CheckJSON([]byte(text)); err != nil {
			return "", errors.New("starts with a quotation mark and is no JSON string")
		}
	case !isInteger(text):
		quoted, err := marshal(text)
		if err != nil {
			return "", err
		}
		text = string(quoted)
	}
	id, err := jsonrpc.ParseID([]byte(text))
	return id.Key, err
}

// isInteger: as JSON writes one, without fraction and exponent. 042 is none.
func isInteger(text string) bool {
	return strings.Trim(text, "-0123456789") == "" && jsonrpc.CheckJSON([]byte(text)) == nil
}
