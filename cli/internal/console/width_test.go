package console

import (
	"bytes"
	"strings"
	"testing"
)

func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("would redrive 2 letters\n\n")
	Table(&b, "letter acked/s note cause", [][]string{{"a", "", "", "no word of it"}, {"bcd", "1.0", "", "ü ö"}})
	b.WriteString("\nnext\n")
	text := b.String()
	for _, width := range []int{0, 80, 40} {
		if got := fit(text, width); got != text {
			t.Errorf("%d: %q", width, got)
		}
	}
	for width, want := range map[int]string{
		// A column that says nothing is left out; then the rest may fit.
		31: "LETTER  ACKED/S  CAUSE\na       -        no word of it\nbcd     1.0      ü ö\n",
		20: "LETTER  ACKED/S\n  CAUSE\na       -\n  no word of it\nbcd     1.0\n  ü ö\n",
		10: "LETTER\n  ACKED/S\n  CAUSE\na\n  no word\n  of it\nbcd\n  1.0\n  ü ö\n",
	} {
		if got := fit(text, width); got != "would redrive 2 letters\n\n"+want+"\nnext\n" {
			t.Errorf("%d: %q", width, got)
		}
	}
}

func TestTheLastColumnIsWrapped(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	Table(&b, "at detail", [][]string{{"12:00", "the address is in none of the networks"}, {"12:01", strings.Repeat("x", 25)}})
	const want = "AT     DETAIL\n12:00  the address is in none of\n       the networks\n12:01  xxxxxxxxxxxxxxxxxxxxxxxxx\n"
	if got := fit(b.String(), 32); got != want {
		t.Errorf("%q", got)
	}
	// An id is not broken for it.
	const below = "AT\n  DETAIL\n12:00\n  the address is in none of the\n  networks\n12:01\n  xxxxxxxxxxxxxxxxxxxxxxxxx\n"
	if got := fit(b.String(), 31); got != below {
		t.Errorf("%q", got)
	}
}

func TestARowAloneIsABlock(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	Table(&b, "group acked/s cause", [][]string{{"g-1", "", "connection refused by peer"}})
	const want = "GROUP    g-1\nACKED/S  -\nCAUSE    connection refused\n         by peer\n"
	if got := fit(b.String(), 28); got != want {
		t.Errorf("%q", got)
	}
}

// Where nobody sees it in a terminal, nothing is set in another way.
func TestProgramsGetLinesAsTheyAre(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	c := &Console{Out: &out, Err: &errs}
	long := strings.Repeat("word ", 100) + "end"
	if err := c.Row([]string{"a", long}); err != nil || out.String() != "a  "+long+"\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if c.Note("%s", long); errs.String() != long+"\n" {
		t.Errorf("%q", errs.String())
	}
}
