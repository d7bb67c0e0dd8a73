package audit

import "testing"

func FuzzParseCursor(f *testing.F) {
	for _, text := range []string{"", "-", "0-0", "1700000000000000-7", "9223372036854775807-9223372036854775807", "-1-1", "1--1", "+1-1", " 1-1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCursor(text)
		if err != nil {
			return
		}
		if again, err := ParseCursor(c.String()); err != nil || !again.At.Equal(c.At) || again.Seq != c.Seq || c.Seq < 0 {
			t.Errorf("%q: %+v reads back as %+v, %v", text, c, again, err)
		}
	})
}
