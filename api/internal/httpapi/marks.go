package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/store/deadletter"
)

// mark is who looks after a letter or a group, and its tags.
type mark struct {
	Assignee string   `json:"assignee"`
	Tags     []string `json:"tags"`
}

func markOf(m deadletter.Mark) mark {
	if m.Tags == nil {
		m.Tags = []string{}
	}
	return mark{m.Assignee, m.Tags}
}

// note is what an operator wrote.
type note struct {
	NoteID string    `json:"note_id"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Note   string    `json:"note"`
}

func notesOf(found []deadletter.Note) []note {
	notes := make([]note, len(found))
	for i, n := range found {
		notes[i] = note{n.NoteID.String(), n.At, n.Actor, n.Text}
	}
	return notes
}

// onLetter and onGroup read what the path names.
func onLetter(c echo.Context, who auth.Principal, params ...string) (on deadletter.Subject, err error) {
	on.Tenant, on.ID, err = ofLetter(c, who, params...)
	return on, err
}

func onGroup(c echo.Context, who auth.Principal, params ...string) (on deadletter.Subject, err error) {
	on.IsGroup = true
	if err = knownParams(c, append(params, "tenant")...); err == nil {
		on.Tenant, err = tenantOf(c, who)
	}
	if err != nil {
		return on, err
	}
	if on.ID, err = uuid.Parse(param(c, "group")); err != nil {
		return on, unknownSubject(on)
	}
	return on, nil
}

func unknownSubject(on deadletter.Subject) error {
	if on.IsGroup {
		return problem.New(problem.UnknownGroup, "no letter of such a group, or another tenant's")
	}
	return problem.New(problem.UnknownLetter, "no such letter, or another tenant's")
}

type subject func(c echo.Context, who auth.Principal, params ...string) (deadletter.Subject, error)

// markPost is what is to be different.
type markPost struct {
	Actor      string   `json:"actor"`
	Reason     string   `json:"reason"`
	AddTags    []string `json:"add_tags"`
	RemoveTags []string `json:"remove_tags"`
	Assignee   *string  `json:"assignee"`
	// From is who looked after it before, where it is taken from somebody.
	From string `json:"from"`
}

const (
	maxTag  = 64 // bytes
	maxNote = 4000
)

// marking is the handler that changes the marks of a letter or of a group.
func marking(of subject) handler {
	return func(s *Server, c echo.Context, who auth.Principal) error {
		on, err := of(c, who)
		if err != nil {
			return err
		}
		var body markPost
		if err := readInto(c, maxSmall, &body); err != nil {
			return err
		}
		if err := body.check(); err != nil {
			return err
		}
		actor, err := actorOf(who, body.Actor)
		if err != nil {
			return err
		}
		m, err := s.cfg.Letters.Mark(c.Request().Context(), on, deadletter.Act{Actor: actor, Reason: body.Reason}, deadletter.MarkChange{
			Add: body.AddTags, Remove: body.RemoveTags, Assignee: body.Assignee, From: body.From,
		})
		var assigned *deadletter.AssignedError
		switch {
		case errors.Is(err, deadletter.ErrNotFound):
			return unknownSubject(on)
		case errors.As(err, &assigned):
			return problem.New(problem.Assigned, "%s: name them in from to take it over", assigned.Error())
		case errors.Is(err, deadletter.ErrTooManyTags):
			return problem.New(problem.InvalidRequest, "at most %d tags in all", deadletter.MaxTags).At("add_tags")
		case err != nil:
			return err
		}
		return answer(c, http.StatusOK, markOf(m))
	}
}

func (p *markPost) check() error {
	if p.Assignee == nil && len(p.AddTags) == 0 && len(p.RemoveTags) == 0 {
		return problem.New(problem.InvalidRequest, "say what is to be different: add_tags, remove_tags or assignee").At("request")
	}
	if len(p.Reason) > maxReason {
		return problem.New(problem.InvalidRequest, "at most %d bytes", maxReason).At("reason")
	}
	if p.Assignee != nil && (len(*p.Assignee) > maxActor || !oneLine(*p.Assignee)) {
		return problem.New(problem.InvalidRequest, "must be at most %d bytes without control characters; empty for nobody", maxActor).At("assignee")
	}
	for field, tags := range map[string][]string{"add_tags": p.AddTags, "remove_tags": p.RemoveTags} {
		for _, tag := range tags {
			if tag == "" || len(tag) > maxTag || !oneLine(tag) || len(tags) > deadletter.MaxTags {
				return problem.New(problem.InvalidRequest, "at most %d, each of 1 to %d bytes without control characters", deadletter.MaxTags, maxTag).At(field)
			}
		}
	}
	return nil
}

func oneLine(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// noting is the handler that adds a note.
func noting(of subject) handler {
	return func(s *Server, c echo.Context, who auth.Principal) error {
		on, err := of(c, who)
		if err != nil {
			return err
		}
		var body struct {
			Note  string `json:"note"`
			Actor string `json:"actor"`
		}
		if err := readInto(c, maxSmall, &body); err != nil {
			return err
		}
		if strings.TrimSpace(body.Note) == "" || len(body.Note) > maxNote {
			return problem.New(problem.InvalidRequest, "must be 1 to %d bytes", maxNote).At("note")
		}
		actor, err := actorOf(who, body.Actor)
		if err != nil {
			return err
		}
		n, err := s.cfg.Letters.AddNote(c.Request().Context(), on, deadletter.Act{Actor: actor, Reason: body.Note})
		if errors.Is(err, deadletter.ErrNotFound) {
			return unknownSubject(on)
		}
		if err != nil {
			return err
		}
		return answer(c, http.StatusCreated, notesOf([]deadletter.Note{n})[0])
	}
}

// listingNotes is the handler that tells the notes; none for what is not there.
func listingNotes(of subject) handler {
	return func(s *Server, c echo.Context, who auth.Principal) error {
		on, err := of(c, who, "after", "limit")
		if err != nil {
			return err
		}
		after, err := uuidParam(c, "after")
		if err != nil {
			return err
		}
		limit, err := limitParam(c, defaultPage, maxPage)
		if err != nil {
			return err
		}
		found, err := s.cfg.Letters.Notes(c.Request().Context(), on.Tenant, []uuid.UUID{on.ID}, after, limit)
		if err != nil {
			return err
		}
		return answerPage(c, "notes", notesOf(found), limit, func(n note) string { return n.NoteID })
	}
}

// marked fills the marks of letters in.
func (s *Server) marked(ctx context.Context, tenant string, letters []letter) error {
	ids := make([]uuid.UUID, len(letters))
	for i := range letters {
		ids[i] = uuid.MustParse(letters[i].LetterID)
	}
	marks, err := s.cfg.Letters.Marks(ctx, tenant, ids)
	for i := range letters {
		letters[i].mark = markOf(marks[ids[i]])
	}
	return err
}
