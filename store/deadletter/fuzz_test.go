package deadletter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// FuzzParseCursor: whatever a client sends for a cursor is refused, or one that reads back the same and that the database
// takes.
func FuzzParseCursor(f *testing.F) {
	for _, sort := range []Sort{Newest, Oldest, "device", "-client"} {
		f.Add(Cursor{Sort: sort, Key: "lamp-1", DiedAt: time.Unix(1e9, 5000).UTC(), LetterID: uuid.Max}.String(), string(sort))
	}
	f.Add("", "")
	f.Add("eyJzIjoiZGV2aWNlIn0", "device")
	f.Add(Cursor{Sort: "device", Key: "a\x00b", DiedAt: time.Unix(1, 0), LetterID: uuid.Max}.String(), "device")
	f.Fuzz(func(t *testing.T, text, sort string) {
		c, err := ParseCursor(text, Sort(sort))
		if err != nil {
			return
		}
		if c.LetterID == uuid.Nil || c.DiedAt.IsZero() || strings.ContainsRune(c.Key, 0) {
			t.Errorf("%q is taken for %+v", text, c)
		}
		again, err := ParseCursor(c.String(), Sort(sort))
		if err != nil || again.Key != c.Key || again.LetterID != c.LetterID || !again.DiedAt.Equal(c.DiedAt) {
			t.Errorf("%+v reads back as %+v, %v", c, again, err)
		}
	})
}
