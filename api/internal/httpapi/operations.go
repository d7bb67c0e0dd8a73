package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
)

// operatorRoutes are those of the operators' desk.
func operatorRoutes() []route {
	return []route{
		{http.MethodGet, "/v1/dead-letters", auth.OpsRead, stored((*Server).listLetters)},
		{http.MethodGet, "/v1/dead-letters/groups", auth.OpsRead, stored((*Server).groupLetters)},
		{http.MethodGet, "/v1/dead-letters/:letter_id", auth.OpsRead, stored((*Server).getLetter)},
		{http.MethodPost, "/v1/dead-letters/:letter_id/redrive", auth.OpsWrite, stored((*Server).redriveLetter)},
		{http.MethodPost, "/v1/dead-letters/:letter_id/discard", auth.OpsWrite, stored((*Server).discardLetter)},
		{http.MethodPost, "/v1/dead-letters/:letter_id/undo", auth.OpsWrite, stored((*Server).undoDiscard)},
		{http.MethodPost, "/v1/dead-letters/:letter_id/marks", auth.OpsWrite, stored(marking(onLetter))},
		{http.MethodGet, "/v1/dead-letters/:letter_id/notes", auth.OpsRead, stored(listingNotes(onLetter))},
		{http.MethodPost, "/v1/dead-letters/:letter_id/notes", auth.OpsWrite, stored(noting(onLetter))},
		{http.MethodPost, "/v1/dead-letter-groups/:group/marks", auth.OpsWrite, stored(marking(onGroup))},
		{http.MethodGet, "/v1/dead-letter-groups/:group/notes", auth.OpsRead, stored(listingNotes(onGroup))},
		{http.MethodPost, "/v1/dead-letter-groups/:group/notes", auth.OpsWrite, stored(noting(onGroup))},
		{http.MethodPost, "/v1/devices/:device/pause", auth.OpsWrite, stored(pausingDevice(true))},
		{http.MethodPost, "/v1/devices/:device/resume", auth.OpsWrite, stored(pausingDevice(false))},
		{http.MethodPost, "/v1/lanes/:lane/pause", auth.OpsPlatform, stored(pausingLane(true))},
		{http.MethodPost, "/v1/lanes/:lane/resume", auth.OpsPlatform, stored(pausingLane(false))},
		{http.MethodPost, "/v1/lanes/:lane/drain", auth.OpsPlatform, stored((*Server).drainLane)},
		{http.MethodGet, "/v1/open-commands", auth.OpsRead, stored((*Server).listOpenCommands)},
		{http.MethodPost, "/v1/open-commands/:command_id/settle", auth.OpsWrite, (*Server).settleOpenCommand},
		{http.MethodGet, "/v1/drains", auth.OpsPlatform, stored((*Server).listDrains)},
		{http.MethodGet, "/v1/drains/:drain_id", auth.OpsPlatform, stored((*Server).getDrain)},
		{http.MethodPost, "/v1/drains/:drain_id/cancel", auth.OpsPlatform, stored((*Server).cancelDrain)},
		{http.MethodGet, "/v1/dead-letter-jobs", auth.OpsRead, stored((*Server).listJobs)},
		{http.MethodPost, "/v1/dead-letter-jobs", auth.OpsWrite, stored((*Server).createJob)},
		{http.MethodGet, "/v1/dead-letter-jobs/:job_id", auth.OpsRead, stored((*Server).getJob)},
		{http.MethodGet, "/v1/dead-letter-jobs/:job_id/items", auth.OpsRead, stored((*Server).listJobItems)},
		{http.MethodPost, "/v1/dead-letter-jobs/:job_id/pause", auth.OpsWrite, stored(changeJob(deadletter.JobPaused, deadletter.JobRunning))},
		{http.MethodPost, "/v1/dead-letter-jobs/:job_id/resume", auth.OpsWrite, stored(changeJob(deadletter.JobRunning, deadletter.JobPaused))},
		{http.MethodPost, "/v1/dead-letter-jobs/:job_id/cancel", auth.OpsWrite,
			stored(changeJob(deadletter.JobCancelled, deadletter.JobRunning, deadletter.JobPaused))},
		{http.MethodGet, "/v1/commands/:command_id/history", auth.OpsRead, stored((*Server).getHistory)},
		{http.MethodGet, "/v1/audit", auth.OpsRead, stored((*Server).listAudit)},
		{http.MethodGet, "/v1/queues", auth.OpsPlatform, (*Server).listQueues},
	}
}

// tenantOf is whose things are asked for: the key's own tenant's, and with ops:platform any
// tenant's, topology.SystemTenant's among them.
func tenantOf(c echo.Context, who auth.Principal) (string, error) {
	asked := c.QueryParam("tenant")
	if asked == "" || asked == who.Tenant {
		return who.Tenant, nil
	}
	if err := auth.Require(who, auth.OpsPlatform); err != nil {
		return "", err
	}
	within(c, asked)
	return asked, nil
}

// knownParams refuses a query parameter that means nothing here: a filter that is mistyped must
// not choose everything.
func knownParams(c echo.Context, names ...string) error {
	for name, values := range c.QueryParams() {
		switch {
		case !slices.Contains(names, name):
			return problem.New(problem.InvalidParameter, "is not a parameter of this").At(name)
		case len(values) > 1:
			return problem.New(problem.InvalidParameter, "must be given once").At(name)
		}
	}
	return nil
}

func timeParam(c echo.Context, name string) (time.Time, error) {
	text := c.QueryParam(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, problem.New(problem.InvalidParameter, "must be a time such as 2026-03-01T12:00:00Z").At(name)
	}
	return t, nil
}

func uuidParam(c echo.Context, name string) (uuid.UUID, error) {
	text := c.QueryParam(name)
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 || id == uuid.Nil {
		return uuid.Nil, problem.New(problem.InvalidParameter, "must be a UUID").At(name)
	}
	return id, nil
}

func boolParam(c echo.Context, name string) (bool, error) {
	switch c.QueryParam(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, problem.New(problem.InvalidParameter, "must be true or false").At(name)
}

// auditEntry is one line of the trail.
type auditEntry struct {
	At         time.Time       `json:"at"`
	Stage      string          `json:"stage"`
	Action     string          `json:"action"`
	Actor      string          `json:"actor,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Client     string          `json:"client,omitempty"`
	ID         json.RawMessage `json:"id,omitempty"`
	CommandID  string          `json:"command_id,omitempty"`
	Device     string          `json:"device,omitempty"`
	DeviceType string          `json:"device_type,omitempty"`
	Method     string          `json:"method,omitempty"`
	Lane       string          `json:"lane,omitempty"`
	Detail     string          `json:"detail,omitempty"`
}

func (s *Server) listAudit(c echo.Context, who auth.Principal) error {
	f, err := auditFilter(c, who)
	if err != nil {
		return err
	}
	var after *audit.Cursor
	if text := c.QueryParam("after"); text != "" {
		cursor, err := audit.ParseCursor(text)
		if err != nil {
			return problem.New(problem.InvalidParameter, "must be what next of the page before said").At("after")
		}
		after = &cursor
	}
	limit, err := limitParam(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	found, next, err := s.cfg.Trail.Search(c.Request().Context(), f, after, limit)
	if err != nil {
		return err
	}
	entries := make([]auditEntry, len(found))
	for i, e := range found {
		entries[i] = auditEntry{
			At: e.At, Stage: e.Stage, Action: e.Action, Actor: e.Actor, Reason: e.Reason, Client: e.Client, ID: auditID(e.ID),
			CommandID: uuidText(e.CommandID), Device: e.Device, DeviceType: e.DeviceType, Method: e.Method, Lane: e.Lane, Detail: e.Detail,
		}
	}
	told := map[string]any{"entries": entries}
	if next != nil {
		told["next"] = next.String()
	}
	return answer(c, http.StatusOK, told)
}

func auditFilter(c echo.Context, who auth.Principal) (f audit.Filter, err error) {
	if err := knownParams(c, "tenant", "from", "before", "stage", "action", "actor", "reason", "client", "device", "device_type", "method",
		"lane", "command_id", "id", "text", "sort", "after", "limit"); err != nil {
		return f, err
	}
	if f.Tenant, err = tenantOf(c, who); err != nil {
		return f, err
	}
	for name, field := range map[string]*string{
		"stage": &f.Stage, "action": &f.Action, "actor": &f.Actor, "reason": &f.Reason, "client": &f.Client,
		"device": &f.Device, "method": &f.Method, "lane": &f.Lane, "text": &f.Text, "device_type": &f.DeviceType, "id": &f.ID,
	} {
		*field = c.QueryParam(name)
		if audit.Text(*field, len(*field)) != *field {
			return f, problem.New(problem.InvalidParameter, "must be UTF-8 without NUL").At(name)
		}
	}
	switch c.QueryParam("sort") {
	case "", "-at":
	case "at":
		f.Oldest = true
	default:
		return f, problem.New(problem.InvalidParameter, "must be at, or -at for the newest first").At("sort")
	}
	if f.From, err = timeParam(c, "from"); err != nil {
		return f, err
	}
	if f.Before, err = timeParam(c, "before"); err != nil {
		return f, err
	}
	f.CommandID, err = uuidParam(c, "command_id")
	return f, err
}

// auditID is the client's id out of the trail, which has it as jsonrpc.ID.Key or as the client
// wrote it; nil for none.
func auditID(b []byte) json.RawMessage {
	kind, rest := "", b
	if len(b) > 2 && b[1] == ':' {
		kind, rest = string(b[:1]), b[2:]
	}
	switch {
	case len(b) == 0, kind == "o":
		return nil
	case kind == "s":
		quoted, _ := marshal(string(rest)) // a string
		return quoted
	case kind == "i":
		return oneValue(rest)
	}
	return oneValue(b)
}

// listQueues bounds its own wait: it answers without the database.
func (s *Server) listQueues(c echo.Context, _ auth.Principal) error {
	picture, err := s.cfg.Queues.Read(c.Request().Context())
	if err != nil {
		return problem.From(problem.BrokerUnavailable, err)
	}
	return answer(c, http.StatusOK, picture)
}
