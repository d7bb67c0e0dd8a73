package deadletter

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ErrCursor says that a cursor is not one of this list in this order.
var ErrCursor = errors.New("not a cursor of this list")

// Sort is an order of letters: by time of death, or by a name and within it by time.
type Sort string

// The orders; each also the other way round.
const (
	Newest Sort = "-died_at"
	Oldest Sort = "died_at"
)

// sortColumns are the columns a list can be sorted by, besides the time.
var sortColumns = map[string]bool{"device": true, "method": true, "reason": true, "client": true}

// parts is the column (empty for the time alone) and the direction.
func (s Sort) parts() (column string, descending, known bool) {
	name := string(s)
	if len(name) > 0 && name[0] == '-' {
		name, descending = name[1:], true
	}
	if name == string(Oldest) {
		return "", descending, true
	}
	return name, descending, sortColumns[name]
}

// Known reports whether letters can be sorted so.
func (s Sort) Known() bool {
	_, _, known := s.parts()
	return known
}

// Cursor is a place in a sorted list: right behind one letter. It stays right while letters
// arrive and while that letter changes.
type Cursor struct {
	Sort     Sort      `json:"s"`
	Key      string    `json:"k,omitempty"`
	DiedAt   time.Time `json:"t"`
	LetterID uuid.UUID `json:"i"`
}

// String is the cursor for a client, opaque to it.
func (c Cursor) String() string {
	text, _ := json.Marshal(c) // strings, a time of this age and an id
	return base64.RawURLEncoding.EncodeToString(text)
}

// ParseCursor reads what String wrote, or gives ErrCursor.
func ParseCursor(text string, sort Sort) (Cursor, error) {
	var c Cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &c) != nil || c.Sort != sort || c.LetterID == uuid.Nil || c.DiedAt.IsZero() || strings.ContainsRune(c.Key, 0) {
		return Cursor{}, ErrCursor
	}
	return c, nil
}

// after is the place right behind a letter.
func (s Sort) after(l *Letter) Cursor {
	c := Cursor{Sort: s, DiedAt: l.DiedAt, LetterID: l.LetterID}
	switch column, _, _ := s.parts(); column {
	case "device":
		c.Key = l.Device
	case "method":
		c.Key = l.Method
	case "reason":
		c.Key = l.Reason
	case "client":
		c.Key = l.Client
	}
	return c
}
