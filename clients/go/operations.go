package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Letter is a dead letter: a command that ended without its device's answer.
type Letter struct {
	LetterID string `json:"letter_id"`
	// State is "open", "redriving", "redriven" or "discarded".
	State  string `json:"state"`
	Reason string `json:"reason"`
	// Executed is "no" or "maybe".
	Executed   string          `json:"executed"`
	Detail     string          `json:"detail"`
	Cause      string          `json:"cause"`
	Group      string          `json:"group"`
	CommandID  string          `json:"command_id,omitempty"`
	Client     string          `json:"client"`
	ID         json.RawMessage `json:"id"`
	Device     string          `json:"device"`
	DeviceType string          `json:"device_type"`
	Method     string          `json:"method"`
	Lane       string          `json:"lane"`
	DiedAt     time.Time       `json:"died_at"`
	// Redrive is the number of the command that died, RedriveOf the command that one repeated. Held letters
	// have died again and again: a redrive takes IncludeHeld.
	Redrive   int    `json:"redrive"`
	Held      bool   `json:"held"`
	RedriveOf string `json:"redrive_of,omitempty"`
	// RedrivenAs is the command that this letter was sent again as.
	RedrivenAs    string    `json:"redriven_as,omitempty"`
	RedriveNumber int       `json:"redrive_number,omitempty"`
	JobID         string    `json:"job_id,omitempty"`
	ChangedAt     time.Time `json:"changed_at,omitzero"`
	ChangedBy     string    `json:"changed_by,omitempty"`
	ChangedWhy    string    `json:"changed_why,omitempty"`
	// Payload and PayloadEncoding as of WholeLetter, in lists whose filter has "payloads".
	Payload         json.RawMessage `json:"payload,omitempty"`
	PayloadEncoding string          `json:"payload_encoding,omitempty"`
	Mark
}

// WholeLetter is one with all that is kept of it.
type WholeLetter struct {
	Letter
	// Payload is JSON, or a JSON string of hexadecimal digits, as PayloadEncoding ("json", "hex") says.
	Payload         json.RawMessage `json:"payload"`
	PayloadEncoding string          `json:"payload_encoding"`
	Properties      json.RawMessage `json:"properties"`
	Headers         json.RawMessage `json:"headers"`
	Deaths          json.RawMessage `json:"deaths"`
	// Edited is the request that the redrive sent, where its params were edited; Changes is what differs.
	Edited  json.RawMessage `json:"edited,omitempty"`
	Changes []Change        `json:"changes,omitempty"`
	// Told is the response that the client was told, "null" for none.
	Told        json.RawMessage `json:"told"`
	DeliveredAt *time.Time      `json:"delivered_at"`
	Events      []Event         `json:"events"`
	// GroupMark is its group's; Notes are its own and its group's.
	GroupMark Mark     `json:"group_mark"`
	Notes     []Note   `json:"notes"`
	Related   []Letter `json:"related"`
}

// Event is one moment of a command's life.
type Event struct {
	At     time.Time `json:"at"`
	Event  string    `json:"event"`
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// LetterGroup is letters of one cause.
type LetterGroup struct {
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
	Mark
}

// History is all that is known of one command.
type History struct {
	CommandID string          `json:"command_id"`
	Client    string          `json:"client,omitempty"`
	Command   json.RawMessage `json:"command,omitempty"`
	Letters   []Letter        `json:"letters"`
	Events    []Event         `json:"events"`
}

// AuditEntry is one line of the audit trail.
type AuditEntry struct {
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

const lettersPath = "/v1/dead-letters"

// Filter chooses letters or entries by the parameters of the API, such as "device" and "from".
type Filter map[string]string

// MarshalJSON writes it as a job's body has it: "held" is a boolean there.
func (f Filter) MarshalJSON() ([]byte, error) {
	body := make(map[string]any, len(f))
	for name, value := range f {
		body[name] = value
	}
	if held, has := f["held"]; has {
		body["held"] = held == "true"
	}
	return json.Marshal(body)
}

// walk is list with a filter; it asks for no more than limit rows (0: all).
func walk[T any](ctx context.Context, c *Client, path, name string, f Filter, limit int) iter.Seq2[T, error] {
	return walkBy[T](ctx, c, path, name, f, limit, pageSize)
}

// walkBy is walk for a list with other pages.
func walkBy[T any](ctx context.Context, c *Client, path, name string, f Filter, limit, most int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query := maps.Clone(map[string]string(f))
		if query == nil {
			query = map[string]string{}
		}
		for left := limit; ; {
			size := most
			if limit > 0 {
				size = min(size, left)
			}
			query["limit"] = strconv.Itoa(size)
			var p page
			err := c.do(ctx, request{method: http.MethodGet, path: path, query: query}, &p)
			var rows []T
			var next string
			if err == nil {
				rows, next, err = readPage[T](p, name)
			}
			if err != nil {
				var none T
				yield(none, fmt.Errorf("list %s: %w", name, err))
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			left -= len(rows)
			if next == "" || limit > 0 && left <= 0 {
				return
			}
			query["after"] = next
		}
	}
}

// payloadsPage is how many letters with payloads are asked for at a time: the most that there are in a page.
const payloadsPage = 100

// DeadLetters lists up to limit letters (0: all), the newest first unless the filter's "sort" says otherwise. With the
// filter's "payloads" set to "true" they have payloads.
func (c *Client) DeadLetters(ctx context.Context, f Filter, limit int) iter.Seq2[Letter, error] {
	if f["payloads"] == "true" {
		return walkBy[Letter](ctx, c, lettersPath, "letters", f, limit, payloadsPage)
	}
	return walk[Letter](ctx, c, lettersPath, "letters", f, limit)
}

// Audit lists up to limit entries of the audit trail (0: all), the newest first.
func (c *Client) Audit(ctx context.Context, f Filter, limit int) iter.Seq2[AuditEntry, error] {
	return walk[AuditEntry](ctx, c, "/v1/audit", "entries", f, limit)
}

// DeadLetter is one letter whole; tenant "" is the key's own.
func (c *Client) DeadLetter(ctx context.Context, tenant, letterID string) (l WholeLetter, err error) {
	err = c.do(ctx, request{method: http.MethodGet, path: lettersPath + "/" + url.PathEscape(letterID), query: of(tenant)}, &l)
	return l, err
}

// LetterAction says why something is done to a letter.
type LetterAction struct {
	// Tenant "" is the key's own.
	Tenant string `json:"-"`
	Reason string `json:"reason"`
	// Actor is the person behind the key; may be empty.
	Actor string `json:"actor,omitempty"`
	// IncludeMaybe redrives also what the device may have executed, IncludeHeld what has died again and again.
	IncludeMaybe bool `json:"include_maybe,omitempty"`
	IncludeHeld  bool `json:"include_held,omitempty"`
}

// Redrive asks for one.
type Redrive struct {
	LetterAction
	// Params take the place of the request's own; nil leaves them.
	Params json.RawMessage `json:"params,omitempty"`
	// DryRun does nothing, and needs no reason.
	DryRun bool `json:"dry_run,omitempty"`
}

// Change is one place where edited params differ from the old ones.
type Change struct {
	// At is a JSON pointer into params; empty for params themselves.
	At string `json:"at"`
	// Old and New are nil where there is nothing.
	Old json.RawMessage `json:"old,omitempty"`
	New json.RawMessage `json:"new,omitempty"`
}

// Redriven says what a letter was sent again as. State is "redriving" while the broker has not confirmed it,
// and empty after a dry run.
type Redriven struct {
	DryRun        bool   `json:"dry_run,omitempty"`
	LetterID      string `json:"letter_id"`
	State         string `json:"state"`
	RedrivenAs    string `json:"redriven_as"`
	RedriveNumber int    `json:"redrive_number"`
	// Changes that other params make.
	Changes []Change `json:"changes"`
}

// RedriveDeadLetter sends a letter's command again as a new one.
func (c *Client) RedriveDeadLetter(ctx context.Context, letterID string, r Redrive) (done Redriven, err error) {
	err = c.actOn(ctx, letterID, "redrive", r.Tenant, r, &done)
	return done, err
}

// DiscardDeadLetter lets a letter go.
func (c *Client) DiscardDeadLetter(ctx context.Context, letterID string, a LetterAction) (l Letter, err error) {
	err = c.actOn(ctx, letterID, "discard", a.Tenant, a, &l)
	return l, err
}

// UndoDiscard opens a discarded letter again, within a day.
func (c *Client) UndoDiscard(ctx context.Context, letterID string, a LetterAction) (l Letter, err error) {
	err = c.actOn(ctx, letterID, "undo", a.Tenant, a, &l)
	return l, err
}

func (c *Client) actOn(ctx context.Context, letterID, action, tenant string, a, into any) error {
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("%s a letter: %w: %w", action, ErrRefused, err)
	}
	path := lettersPath + "/" + url.PathEscape(letterID) + "/" + action
	return c.do(ctx, request{method: http.MethodPost, path: path, query: of(tenant), body: body}, into)
}

// CommandHistory is one command's life; tenant "" is the key's own.
func (c *Client) CommandHistory(ctx context.Context, tenant, commandID string) (h History, err error) {
	path := "/v1/commands/" + url.PathEscape(commandID) + "/history"
	err = c.do(ctx, request{method: http.MethodGet, path: path, query: of(tenant)}, &h)
	return h, err
}

func of(tenant string) map[string]string {
	if tenant == "" {
		return nil
	}
	return map[string]string{"tenant": tenant}
}
