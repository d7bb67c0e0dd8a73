package console

import (
	"strings"
	"testing"
)

func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("would redrive 2 letters\n\n")
	Table(&b, "letter acked/s cause", [][]string{{"a", "", "no word of it"}, {"bcd", "1.0", "ü ö"}})
	b.WriteString("\nnext\n")
	text := b.String()
	for _, width := range []int{0, 80, 31} {
		if got := fit(text, width); got != text {
			t.Errorf("%d: %q", width, got)
		}
	}
	const blocks = "would redrive 2 letters\n\nLETTER   a\nACKED/S  -\nCAUSE    no word of it\n\nLETTER   bcd\nACKED/S  1.0\nCAUSE    ü ö\n\nnext\n"
	if got := fit(text, 20); got != blocks {
		t.Errorf("%q", got)
	}
}
