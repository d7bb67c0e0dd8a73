package cupline

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Mark is who looks after a letter or a group of letters, and its tags.
type Mark struct {
	Assignee string   `json:"assignee"`
	Tags     []string `json:"tags"`
}

// MarkChange is what is to be different in marks.
type MarkChange struct {
	AddTags    []string `json:"add_tags,omitempty"`
	RemoveTags []string `json:"remove_tags,omitempty"`
	// Assignee nil leaves it; empty is nobody.
	Assignee *string `json:"assignee,omitempty"`
	// From is who looked after it before, to take it over from them.
	From   string `json:"from,omitempty"`
	Reason string `json:"reason,omitempty"`
	Actor  string `json:"actor,omitempty"`
}

// Note is what an operator wrote.
type Note struct {
	NoteID string    `json:"note_id,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Actor  string    `json:"actor,omitempty"`
	Note   string    `json:"note"`
}

// Subject is what marks and notes stand on: a letter, or a group of letters.
type Subject struct {
	// Tenant "" is the key's own.
	Tenant string
	// Letter or Group is its id.
	Letter, Group string
}

func (s Subject) path(of string) string {
	if s.Group != "" {
		return "/v1/dead-letter-groups/" + url.PathEscape(s.Group) + of
	}
	return lettersPath + "/" + url.PathEscape(s.Letter) + of
}

// ChangeMarks changes marks and returns them as they stand.
func (c *Client) ChangeMarks(ctx context.Context, on Subject, change MarkChange) (m Mark, err error) {
	err = c.postOn(ctx, on, "/marks", change, &m)
	return m, err
}

// AddNote writes a note; its text and actor count.
func (c *Client) AddNote(ctx context.Context, on Subject, n Note) (written Note, err error) {
	err = c.postOn(ctx, on, "/notes", Note{Note: n.Note, Actor: n.Actor}, &written)
	return written, err
}

// Notes lists the notes, the oldest first.
func (c *Client) Notes(ctx context.Context, on Subject) iter.Seq2[Note, error] {
	return walk[Note](ctx, c, on.path("/notes"), "notes", of(on.Tenant), 0)
}

func (c *Client) postOn(ctx context.Context, on Subject, path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("write a letter's marks: %w: %w", ErrRefused, err)
	}
	return c.do(ctx, request{method: http.MethodPost, path: on.path(path), query: of(on.Tenant), body: content}, into)
}
