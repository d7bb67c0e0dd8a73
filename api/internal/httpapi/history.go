package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
)

// event is one moment of a command's life.
type event struct {
	At     time.Time `json:"at"`
	Event  string    `json:"event"`
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// life is all that is known of one command: from the ledger, the mailbox, the letters and the trail.
type life struct {
	CommandID string   `json:"command_id"`
	Client    string   `json:"client,omitempty"`
	Command   *command `json:"command,omitempty"`
	Letters   []letter `json:"letters"`
	Events    []event  `json:"events"`
}

// maxEvents bounds the entries of the trail that are told of one command.
const maxEvents = 200

// live puts a command's life together; what is not known of it leaves Events empty.
func (s *Server) live(ctx context.Context, tenant string, id uuid.UUID) (life, error) {
	l := life{CommandID: id.String(), Letters: []letter{}, Events: []event{}}
	row, err := s.cfg.Ledger.ByCommand(ctx, tenant, id)
	switch {
	case errors.Is(err, ledger.ErrNoRow):
	case err != nil:
		return l, err
	default:
		told := commandOf(&row)
		l.Client, l.Command = row.Client, &told
		l.ledger(&row)
	}
	page, err := s.cfg.Letters.Find(ctx, deadletter.Filter{Tenant: tenant, CommandID: id}, deadletter.Oldest, nil, maxEvents)
	if err != nil {
		return l, err
	}
	l.Letters = s.lettersOf(page.Letters)
	if err := s.marked(ctx, tenant, l.Letters); err != nil {
		return l, err
	}
	if l.Client == "" && len(page.Letters) > 0 {
		l.Client = page.Letters[0].Client
	}
	entries, _, err := s.cfg.Trail.Search(ctx, audit.Filter{Tenant: tenant, CommandID: id}, nil, maxEvents)
	if err != nil {
		return l, err
	}
	for _, e := range entries {
		l.Events = append(l.Events, event{e.At, e.Action, e.Actor, e.Reason, e.Detail})
		if l.Client == "" {
			l.Client = e.Client
		}
	}
	if l.Client != "" {
		kept, found, err := s.cfg.Mailbox.Lookup(ctx, tenant, l.Client, id)
		if err != nil {
			return l, err
		}
		if found {
			l.add(kept.Stored, event{Event: mailboxEvent(kept.Missed)})
			l.add(kept.Acked, event{Event: "acked_from_mailbox"})
		}
	}
	slices.SortStableFunc(l.Events, func(a, b event) int { return a.At.Compare(b.At) })
	return l, nil
}

// mailboxEvent is the mailbox's event.
func mailboxEvent(missed bool) string {
	if missed {
		return "refused_by_full_mailbox"
	}
	return "stored_in_mailbox"
}

// add leaves out what never was.
func (l *life) add(at time.Time, e event) {
	if !at.IsZero() {
		e.At = at.UTC()
		l.Events = append(l.Events, e)
	}
}

func (l *life) ledger(r *ledger.Row) {
	l.add(r.Accepted, event{Event: "accepted"})
	l.add(r.Started, event{Event: "started"})
	l.add(r.Decided, event{Event: "decided", Reason: r.Reason, Detail: "by the " + r.Origin})
	l.add(r.Delivered, event{Event: "delivered"})
}

func (s *Server) getHistory(c echo.Context, who auth.Principal) error {
	if err := knownParams(c, "tenant"); err != nil {
		return err
	}
	tenant, err := tenantOf(c, who)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(param(c, "command_id"))
	if err != nil {
		return unknownCommand()
	}
	found, err := s.live(c.Request().Context(), tenant, id)
	if err != nil {
		return err
	}
	if len(found.Events) == 0 && len(found.Letters) == 0 {
		return unknownCommand()
	}
	return answer(c, http.StatusOK, found)
}

// wholeLetter is one with all that is kept of it.
type wholeLetter struct {
	letter
	// Payload is JSON, or hexadecimal digits, as PayloadEncoding says.
	Payload         any    `json:"payload"`
	PayloadEncoding string `json:"payload_encoding"`
	// Edited is the request that the redrive sent, where its params were edited; Changes is what differs.
	Edited     json.RawMessage `json:"edited,omitempty"`
	Changes    []ops.Change    `json:"changes,omitempty"`
	Properties json.RawMessage `json:"properties"`
	Headers    json.RawMessage `json:"headers"`
	Deaths     json.RawMessage `json:"deaths"`
	// Told is the response the client was told; null where nobody was.
	Told json.RawMessage `json:"told"`
	// DeliveredAt is when the client acked it.
	DeliveredAt *time.Time `json:"delivered_at"`
	Events      []event    `json:"events"`
	// GroupMark is its group's; Notes are its own and its group's, the first 1,000.
	GroupMark mark   `json:"group_mark"`
	Notes     []note `json:"notes"`
	// Related are the letters of its origin and of its redrives.
	Related []letter `json:"related"`
}

func (s *Server) getLetter(c echo.Context, who auth.Principal) error {
	l, err := s.foundLetter(c, who)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	whole := wholeLetter{
		letter: s.letterOf(&l), Properties: oneValue(l.Properties),
		Headers: oneValue(l.Headers), Deaths: oneValue(l.Deaths), Told: oneValue(l.Outcome), Events: []event{},
	}
	whole.Payload, whole.PayloadEncoding = legible(l.Payload)
	if l.Edited != nil {
		whole.Edited, whole.Changes = l.Edited, ops.Differences(l.Payload, l.Edited)
	}
	if l.CommandID != uuid.Nil {
		life, err := s.live(ctx, l.Tenant, l.CommandID)
		if err != nil {
			return err
		}
		whole.Events = life.Events
		for _, e := range life.Events {
			if at := e.At; e.Event == "delivered" || e.Event == "acked_from_mailbox" {
				whole.DeliveredAt = &at
			}
		}
	}
	kin, err := s.cfg.Letters.Kin(ctx, l.Tenant, l.CommandID, l.RedriveOf)
	if err != nil {
		return err
	}
	whole.Related = s.lettersOf(kin)
	if err := s.marked(ctx, l.Tenant, whole.Related); err != nil {
		return err
	}
	marks, err := s.cfg.Letters.Marks(ctx, l.Tenant, []uuid.UUID{l.LetterID, l.Group})
	if err != nil {
		return err
	}
	whole.mark, whole.GroupMark = markOf(marks[l.LetterID]), markOf(marks[l.Group])
	notes, err := s.cfg.Letters.Notes(ctx, l.Tenant, []uuid.UUID{l.LetterID, l.Group}, uuid.Nil, maxPage)
	if err != nil {
		return err
	}
	whole.Notes = notesOf(notes)
	return answer(c, http.StatusOK, whole)
}
