package httpapi

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/deadletter"
)

// letter is a dead letter in a list.
type letter struct {
	LetterID      string          `json:"letter_id"`
	State         string          `json:"state"`
	Reason        string          `json:"reason"`
	Executed      string          `json:"executed"`
	Detail        string          `json:"detail"`
	Cause         string          `json:"cause"`
	Group         string          `json:"group"`
	CommandID     string          `json:"command_id,omitempty"`
	Client        string          `json:"client"`
	ID            json.RawMessage `json:"id"`
	Device        string          `json:"device"`
	DeviceType    string          `json:"device_type"`
	Method        string          `json:"method"`
	Lane          string          `json:"lane"`
	DiedAt        time.Time       `json:"died_at"`
	Redrive       int             `json:"redrive"`
	Held          bool            `json:"held"`
	RedriveOf     string          `json:"redrive_of,omitempty"`
	RedrivenAs    string          `json:"redriven_as,omitempty"`
	RedriveNumber int             `json:"redrive_number,omitempty"`
	JobID         string          `json:"job_id,omitempty"`
	ChangedAt     *time.Time      `json:"changed_at,omitempty"`
	ChangedBy     string          `json:"changed_by,omitempty"`
	ChangedWhy    string          `json:"changed_why,omitempty"`
	// Payload, where it was asked for: JSON, or hexadecimal digits, as PayloadEncoding says.
	Payload         any    `json:"payload,omitempty"`
	PayloadEncoding string `json:"payload_encoding,omitempty"`
	mark
}

func (s *Server) letterOf(l *deadletter.Letter) letter {
	return letter{
		mark:     markOf(deadletter.Mark{}),
		Held:     l.State == deadletter.Open && l.Redrive >= s.cfg.LoopGuard,
		LetterID: l.LetterID.String(), State: l.State, Reason: l.Reason, Executed: l.Executed, Detail: l.Detail, Cause: l.Cause,
		Group: l.Group.String(), CommandID: uuidText(l.CommandID), Client: l.Client, ID: oneValue(l.ID), Device: l.Device,
		DeviceType: l.DeviceType, Method: l.Method, Lane: l.Lane, DiedAt: l.DiedAt, Redrive: l.Redrive,
		RedriveOf: uuidText(l.RedriveOf), RedrivenAs: uuidText(l.RedrivenAs), RedriveNumber: l.RedriveNumber,
		JobID: uuidText(l.JobID), ChangedAt: moment(l.Changed), ChangedBy: l.ChangedBy, ChangedWhy: l.ChangedWhy,
	}
}

func (s *Server) lettersOf(found []deadletter.Letter) []letter {
	letters := make([]letter, len(found))
	for i := range found {
		letters[i] = s.letterOf(&found[i])
	}
	return letters
}

// uuidText is empty for none.
func uuidText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// oneValue is kept bytes as a JSON value: as they are where they are one, null for none, else as a string.
func oneValue(b []byte) json.RawMessage {
	switch {
	case len(b) == 0:
		return json.RawMessage("null")
	case utf8.Valid(b) && json.Valid(b):
		return b
	}
	quoted, _ := marshal(hex.EncodeToString(b)) // a string
	return quoted
}

// letterFilters are the parameters that choose letters.
var letterFilters = []string{
	"tenant", "from", "before", "state", "reason", "executed", "lane", "device", "device_type", "method", "client", "id",
	"command_id", "group", "job_id", "tag", "assignee", "held", "text",
}

// letterFilter reads them, and refuses any parameter that is neither of these nor of more.
func (s *Server) letterFilter(c echo.Context, who auth.Principal, more ...string) (f deadletter.Filter, err error) {
	if err := knownParams(c, slices.Concat(letterFilters, more)...); err != nil {
		return f, err
	}
	if f.Tenant, err = tenantOf(c, who); err != nil {
		return f, err
	}
	f.State, f.Reason, f.Executed = c.QueryParam("state"), c.QueryParam("reason"), c.QueryParam("executed")
	f.Lane, f.Device, f.DeviceType = c.QueryParam("lane"), c.QueryParam("device"), c.QueryParam("device_type")
	f.Method, f.Client, f.ID, f.Text = c.QueryParam("method"), c.QueryParam("client"), c.QueryParam("id"), c.QueryParam("text")
	f.Tag, f.Assignee, f.Guard = c.QueryParam("tag"), c.QueryParam("assignee"), s.cfg.LoopGuard
	var problems [6]error
	f.From, problems[0] = timeParam(c, "from")
	f.Before, problems[1] = timeParam(c, "before")
	f.CommandID, problems[2] = uuidParam(c, "command_id")
	f.Group, problems[3] = uuidParam(c, "group")
	f.Job, problems[4] = uuidParam(c, "job_id")
	f.Held, problems[5] = boolParam(c, "held")
	for _, err := range problems {
		if err != nil {
			return f, err
		}
	}
	return f, checkFilter(&f)
}

// checkFilter refuses what no letter can be.
func checkFilter(f *deadletter.Filter) error {
	switch f.State {
	case "", deadletter.Open, deadletter.Redriving, deadletter.Redriven, deadletter.Discarded:
	default:
		return problem.New(problem.InvalidParameter, "must be open, redriving, redriven or discarded").At("state")
	}
	for _, field := range []struct{ name, value string }{
		{"reason", f.Reason}, {"executed", f.Executed}, {"lane", f.Lane}, {"device", f.Device}, {"device_type", f.DeviceType},
		{"method", f.Method}, {"client", f.Client}, {"id", f.ID}, {"text", f.Text}, {"tag", f.Tag}, {"assignee", f.Assignee},
	} {
		if !storable(field.value) {
			return problem.New(problem.InvalidParameter, "must be UTF-8 without NUL").At(field.name)
		}
	}
	return nil
}

// storable reports whether Postgres can hold the text, so that something may be equal to it.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

func (s *Server) listLetters(c echo.Context, who auth.Principal) error {
	f, err := s.letterFilter(c, who, "sort", "after", "limit", "counts", "payloads")
	if err != nil {
		return err
	}
	sort := deadletter.Newest
	if text := c.QueryParam("sort"); text != "" {
		sort = deadletter.Sort(text)
	}
	if !sort.Known() {
		return problem.New(problem.InvalidParameter, "must be died_at, device, method, reason or client, with - before it for the other way round").At("sort")
	}
	var after *deadletter.Cursor
	if text := c.QueryParam("after"); text != "" {
		cursor, err := deadletter.ParseCursor(text, sort)
		if err != nil {
			return problem.New(problem.InvalidParameter, "must be what next of the page before said, with the same sort").At("after")
		}
		after = &cursor
	}
	whole, err := boolParam(c, "payloads")
	if err != nil {
		return err
	}
	most := maxPage
	if whole {
		most = maxPayloads
	}
	limit, err := limitParam(c, defaultPage, most)
	if err != nil {
		return err
	}
	counted, err := boolParam(c, "counts")
	if err != nil {
		return err
	}
	page, err := s.cfg.Letters.Find(c.Request().Context(), f, sort, after, limit)
	if err != nil {
		return err
	}
	letters := s.lettersOf(page.Letters)
	if err := s.marked(c.Request().Context(), f.Tenant, letters); err != nil {
		return err
	}
	if whole {
		if err := s.filled(c.Request().Context(), f.Tenant, page.Letters, letters); err != nil {
			return err
		}
	}
	told := map[string]any{"letters": letters}
	if page.Next != nil {
		told["next"] = page.Next.String()
	}
	if counted {
		counts, from, err := s.cfg.Letters.Counts(c.Request().Context(), f, deadletter.Patience)
		if err != nil {
			return err
		}
		told["counts"] = counts
		countedFrom(told, from)
	}
	return answer(c, http.StatusOK, told)
}

// maxPayloads is the most letters of a page with payloads, of 64 KiB each at most.
const maxPayloads = 100

// filled puts the payloads into letters of a list.
func (s *Server) filled(ctx context.Context, tenant string, found []deadletter.Letter, letters []letter) error {
	payloads, err := s.cfg.Letters.Payloads(ctx, tenant, found)
	for i := range letters {
		letters[i].Payload, letters[i].PayloadEncoding = legible(payloads[found[i].LetterID])
	}
	return err
}

// legible is a payload as JSON where it is that, else as hexadecimal digits.
func legible(payload []byte) (shown any, encoding string) {
	if utf8.Valid(payload) && json.Valid(payload) {
		return json.RawMessage(payload), "json"
	}
	return hex.EncodeToString(payload), "hex"
}

// group is letters of one cause.
type group struct {
	Group      string    `json:"group"`
	Reason     string    `json:"reason"`
	DeviceType string    `json:"device_type"`
	Method     string    `json:"method"`
	Cause      string    `json:"cause"`
	Count      int64     `json:"count"`
	Open       int64     `json:"open"`
	Maybe      int64     `json:"maybe"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
	// PerMinute over the last five minutes.
	PerMinute float64 `json:"per_minute"`
	mark
}

func (s *Server) groupsOf(ctx context.Context, tenant string, found []deadletter.Group) ([]group, error) {
	ids := make([]uuid.UUID, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	marks, err := s.cfg.Letters.Marks(ctx, tenant, ids)
	groups := make([]group, len(found))
	for i, g := range found {
		groups[i] = group{
			g.ID.String(), g.Reason, g.DeviceType, g.Method, g.Cause, g.Count, g.Open, g.Maybe, g.First, g.Last,
			float64(g.Recent) / deadletter.RateWindow.Minutes(), markOf(marks[g.ID]),
		}
	}
	return groups, err
}

func (s *Server) groupLetters(c echo.Context, who auth.Principal) error {
	f, err := s.letterFilter(c, who, "limit")
	if err != nil {
		return err
	}
	limit, err := limitParam(c, defaultPage, maxPage)
	if err != nil {
		return err
	}
	found, from, err := s.cfg.Letters.Groups(c.Request().Context(), f, limit, deadletter.Patience)
	if err != nil {
		return err
	}
	groups, err := s.groupsOf(c.Request().Context(), f.Tenant, found)
	if err != nil {
		return err
	}
	told := map[string]any{"groups": groups}
	countedFrom(told, from)
	return answer(c, http.StatusOK, told)
}

// countedFrom says that only letters from a time on were counted, unless all were.
func countedFrom(told map[string]any, from time.Time) {
	if !from.IsZero() {
		told["counted_from"] = from
	}
}
