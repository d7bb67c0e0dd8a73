package jsonrpc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScannerTakesJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`null`, `true`, `false`, `0`, `-0`, `12`, `-1.5`, `1e9`, `1E+9`, `0.25e-3`, `""`, `"a"`, `[]`, `{}`,
		" \t\r\n[ 1 , 2 ] \n", `{"a":{"b":[{},[],""]}}`, `"\"\\\/\b\f\n\r\t\u00e9"`, `"\ud83d\ude00"`, `"é😀"`, "\"\x7f\"",
		`{"a":1,"a":2}`, strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
	} {
		if err := CheckJSON([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestScannerNamesTheByte(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		offset int
		reason string
	}{
		{``, 0, "the text ends where a value should be"},
		{`  `, 2, "the text ends where a value should be"},
		{`{`, 1, "the text ends where a string should be"},
		{`{"a"`, 4, "the text ends where a colon should be"},
		{`{"a":}`, 5, `'}' where a value should be`},
		{`{"a":1`, 6, "the text ends where a comma or } should be"},
		{`{"a":1,}`, 7, `'}' where a string should be`},
		{`{a:1}`, 1, `'a' where a string should be`},
		{`{'a':1}`, 1, `'\'' where a string should be`},
		{`[1,]`, 3, `']' where a value should be`},
		{`[1 2]`, 3, `'2' where a comma or ] should be`},
		{`[,1]`, 1, `',' where a value should be`},
		{`nul`, 0, "no JSON word but true, false and null"},
		{`True`, 0, `'T' where a value should be`},
		{`NaN`, 0, `'N' where a value should be`},
		{`01`, 1, "more text after the end of the value"},
		{`+1`, 0, `'+' where a value should be`},
		{`-`, 1, "the text ends where a digit should be"},
		{`-a`, 1, `'a' where a digit should be`},
		{`1.`, 2, "the text ends where a digit should be"},
		{`.5`, 0, `'.' where a value should be`},
		{`1e`, 2, "the text ends where a digit should be"},
		{`1e+`, 3, "the text ends where a digit should be"},
		{`"a`, 2, "the text ends inside a string"},
		{"\"a\n\"", 2, "a raw control character in a string"},
		{"\"\x00\"", 1, "a raw control character in a string"},
		{`"\x"`, 2, "an escape that JSON does not have"},
		{`"\`, 2, "an escape that JSON does not have"},
		{`"\u12g4"`, 2, `\u needs four hexadecimal digits`},
		{`"\u12`, 2, `\u needs four hexadecimal digits`},
		{"\"\xff\"", 1, "not UTF-8"},
		{"\"\xc3\"", 1, "not UTF-8"},
		{"\"\xed\xa0\x80\"", 1, "not UTF-8"},
		{"\"\xf4\x90\x80\x80\"", 1, "not UTF-8"},
		{"\ufeff{}", 0, `'ï' where a value should be`},
		{`{} {}`, 3, "more text after the end of the value"},
		{"1\x00", 1, "more text after the end of the value"},
		{strings.Repeat("[", MaxDepth+1), MaxDepth, "nested deeper than 64"},
	} {
		var syntax *SyntaxError
		if err := CheckJSON([]byte(c.text)); !errors.As(err, &syntax) {
			t.Errorf("%q: got %v, want a SyntaxError", c.text, err)
		} else if syntax.Offset != c.offset || syntax.Reason != c.reason {
			t.Errorf("%q: got byte %d: %s\nwant byte %d: %s", c.text, syntax.Offset, syntax.Reason, c.offset, c.reason)
		}
	}
}

// FuzzScanner holds the scanner against encoding/json: what one takes the other takes,
// but for bytes that are not UTF-8 and for nesting past MaxDepth, which only json takes.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`, `[1,2.5e-7,"\u00e9",null]`,
		`{"a":`, "\"\xff\"", `"\ud800"`, `-0.0e+0`, ` [ ] `, strings.Repeat("[", 65), `1 1`, "\"\x1f\"", `{"":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := CheckJSON(b)
		want := json.Valid(b) && utf8.Valid(b) && depth(b) <= MaxDepth
		if (err == nil) != want {
			t.Fatalf("%q: scanner says %v, encoding/json with UTF-8 and depth says %v", b, err, want)
		}
		var syntax *SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(b)) {
			t.Fatalf("%q: %v names no byte of the text", b, err)
		}
	})
}

// depth of valid JSON, counted by looking at brackets outside of strings.
func depth(b []byte) int {
	deepest, now, inside := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{', c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}', c == ']':
			now--
		}
	}
	return deepest
}
