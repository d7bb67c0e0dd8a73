package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/ledger"
)

// openCommand is one that was started, as operators are told.
type openCommand struct {
	CommandID string          `json:"command_id"`
	Client    string          `json:"client"`
	ID        json.RawMessage `json:"id"`
	Redrive   int             `json:"redrive"`
	Device    string          `json:"device"`
	Method    string          `json:"method"`
	Lane      string          `json:"lane"`
	State     string          `json:"state"`
	Reason    string          `json:"reason,omitempty"`
	StartedAt time.Time       `json:"started_at"`
	OverdueAt time.Time       `json:"overdue_at"`
}

func openOf(r *ledger.Row) openCommand {
	told := openCommand{
		CommandID: r.CommandID.String(), Client: r.Client, ID: oneValue(r.RawID), Redrive: r.Redrive, Device: r.Device,
		Method: r.Method, Lane: r.Lane, State: "open", StartedAt: r.Started, OverdueAt: r.LostAt(),
	}
	if !r.Open() {
		told.State, told.Reason = "decided", r.Reason
	}
	return told
}

// usualOverdue is for how long a command's worker has to count as lost unless told.
const usualOverdue = time.Hour

func (s *Server) listOpenCommands(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant", "from", "before", "overdue", "after", "limit"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	now := s.cfg.Clock.Now()
	o := ledger.Overdue{Tenant: tenant, Before: now, Since: usualOverdue}
	for name, at := range map[string]*time.Time{"from": &o.From, "before": &o.Before} {
		if t, err := timeParam(c, name); err != nil {
			return err
		} else if !t.IsZero() {
			*at = t
		}
	}
	if text := c.QueryParam("overdue"); text != "" {
		if o.Since, err = time.ParseDuration(text); err != nil || o.Since < ops.MinOverdue {
			return problem.New(problem.InvalidParameter, "must be a duration such as 1h, and at least %s", ops.MinOverdue).At("overdue")
		}
	}
	var after ledger.OpenCursor
	if text := c.QueryParam("after"); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || json.Unmarshal(raw, &after) != nil || after.Created.IsZero() {
			return problem.New(problem.InvalidParameter, "must be what next of the page before said").At("after")
		}
	}
	limit, err := limitParam(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	found, err := s.cfg.Ledger.Overdue(c.Request().Context(), o, after, limit)
	if err != nil {
		return err
	}
	commands := make([]openCommand, len(found))
	for i := range found {
		commands[i] = openOf(&found[i].Row)
	}
	told := map[string]any{"commands": commands}
	if len(found) == limit {
		text, _ := json.Marshal(found[limit-1].At) // a time of this age and an id
		told["next"] = base64.RawURLEncoding.EncodeToString(text)
	}
	return answer(c, http.StatusOK, told)
}

// settleOpenCommand bounds its own waits: the database's, the broker's, and a moment for the recorder.
func (s *Server) settleOpenCommand(c echo.Context, who auth.Principal) error {
	tenant, err := onlyTenant(c, who)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(param(c, "command_id"))
	if err != nil {
		return unknownCommand()
	}
	act, err := asked(c, who)
	if err != nil {
		return err
	}
	row, err := s.cfg.Settler.Settle(c.Request().Context(), tenant, id, act.Actor, act.Reason)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if row.Open() {
		status = http.StatusAccepted
	}
	return answer(c, status, openOf(&row))
}
