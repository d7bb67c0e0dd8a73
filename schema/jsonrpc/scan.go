package jsonrpc

import (
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest, so that no reader further on
// can be made to recurse without end.
const MaxDepth = 64

// SyntaxError says where bytes stop being the JSON they have to be.
type SyntaxError struct {
	// Offset in bytes from the start of what was given.
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason)
}

// CheckJSON holds b to be one JSON text (RFC 8259) in UTF-8, nested no deeper than MaxDepth.
// Its error is a *SyntaxError.
func CheckJSON(b []byte) error {
	s := &scanner{b: b}
	_, err := s.whole(s.value)
	return err
}

// span is a half-open range of bytes.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to:s.to] }

// scanner walks over one JSON text and checks it. Offsets count from the start of b.
type scanner struct {
	b     []byte
	i     int
	depth int
}

func (s *scanner) fail(format string, args ...any) error {
	return &SyntaxError{Offset: s.i, Reason: fmt.Sprintf(format, args...)}
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// next returns the byte at hand, or 0 at the end. A real NUL is no JSON outside of strings either way.
func (s *scanner) next() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) unexpected(wanted string) error {
	if s.i >= len(s.b) {
		return s.fail("the text ends where %s should be", wanted)
	}
	return s.fail("%q where %s should be", rune(s.b[s.i]), wanted)
}

// whole runs read on one value and insists that nothing but space surrounds it.
func (s *scanner) whole(read func() error) (span, error) {
	s.space()
	from := s.i
	if err := read(); err != nil {
		return span{}, err
	}
	to := s.i
	s.space()
	if s.i < len(s.b) {
		return span{}, s.fail("more text after the end of the value")
	}
	return span{from, to}, nil
}

// value checks one value of any type and leaves i behind it.
func (s *scanner) value() error {
	switch c := s.next(); {
	case c == '{':
		return s.object(func(span) error { return s.value() })
	case c == '[':
		return s.array(func() error { return s.value() })
	case c == '"':
		_, err := s.str()
		return err
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.unexpected("a value")
}

func (s *scanner) literal(word string) error {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.fail("no JSON word but true, false and null")
	}
	s.i += len(word)
	return nil
}

// object reads one object; member is called with i at the start of each value, and has to read it.
func (s *scanner) object(member func(key span) error) error {
	return s.list('{', '}', func() error {
		key, err := s.str()
		if err != nil {
			return err
		}
		s.space()
		if s.next() != ':' {
			return s.unexpected("a colon")
		}
		s.i++
		s.space()
		return member(key)
	})
}

// array reads one array; element is called with i at the start of each value, and has to read it.
func (s *scanner) array(element func() error) error {
	return s.list('[', ']', element)
}

func (s *scanner) list(open, end byte, item func() error) error {
	if s.next() != open {
		return s.unexpected(string(rune(open)))
	}
	if s.depth++; s.depth > MaxDepth {
		return s.fail("nested deeper than %d", MaxDepth)
	}
	s.i++
	s.space()
	for first := true; first || s.next() != end; first = false {
		if first && s.next() == end {
			break
		}
		if !first {
			if s.next() != ',' {
				return s.unexpected("a comma or " + string(rune(end)))
			}
			s.i++
			s.space()
		}
		if err := item(); err != nil {
			return err
		}
		s.space()
	}
	s.i++
	s.depth--
	return nil
}

// str checks a string and returns its span without the quotes.
func (s *scanner) str() (span, error) {
	if s.next() != '"' {
		return span{}, s.unexpected("a string")
	}
	s.i++
	from := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return span{from, s.i - 1}, nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return span{}, err
			}
		case c < 0x20:
			return span{}, s.fail("a raw control character in a string")
		case c < utf8.RuneSelf:
			s.i++
		default:
			r, size := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && size == 1 {
				return span{}, s.fail("not UTF-8")
			}
			s.i += size
		}
	}
	return span{}, s.fail("the text ends inside a string")
}

func (s *scanner) escape() error {
	s.i++
	switch s.next() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i++
		return nil
	case 'u':
		for k := 1; k <= 4; k++ {
			if s.i+k >= len(s.b) || !isHex(s.b[s.i+k]) {
				return s.fail("\\u needs four hexadecimal digits")
			}
		}
		s.i += 5
		return nil
	}
	return s.fail("an escape that JSON does not have")
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (s *scanner) number() error {
	if s.next() == '-' {
		s.i++
	}
	if s.next() == '0' {
		s.i++
	} else if !s.digits() {
		return s.unexpected("a digit")
	}
	if s.next() == '.' {
		s.i++
		if !s.digits() {
			return s.unexpected("a digit")
		}
	}
	if c := s.next(); c == 'e' || c == 'E' {
		s.i++
		if c := s.next(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return s.unexpected("a digit")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	from := s.i
	for c := s.next(); '0' <= c && c <= '9'; c = s.next() {
		s.i++
	}
	return s.i > from
}
