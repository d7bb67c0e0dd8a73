package jsonrpc

import (
	"bytes"
	"errors"
	"strconv"
)

// Response is one JSON-RPC 2.0 response, checked, as the bytes that came in.
type Response struct {
	// Body is the response object itself, without space around it.
	Body []byte
	// ID holds the bytes of the id member: a JSON value of any kind, null included.
	ID []byte
	// Failed tells that the response carries error, not result.
	Failed bool

	idSpan span
}

// ParseResponse reads one response. Its error is a *SyntaxError or a *FieldError.
func ParseResponse(b []byte) (Response, error) {
	s := &scanner{b: b}
	m := members{}
	whole, err := s.whole(func() error { return m.read(s, "response") })
	if err != nil {
		return Response{}, err
	}
	r := Response{
		Body: whole.of(b), ID: m.id.of(b), Failed: m.failure.to > 0,
		idSpan: span{m.id.from - whole.from, m.id.to - whole.from},
	}
	switch {
	case string(m.version.of(b)) != `"2.0"`:
		return r, &FieldError{"jsonrpc", `must be "2.0"`}
	case m.id.to == 0:
		return r, &FieldError{"id", "is missing"}
	case (m.result.to > 0) == (m.failure.to > 0):
		return r, &FieldError{"response", "must have exactly one of result and error"}
	case r.Failed:
		return r, checkError(m.failure.of(b))
	}
	return r, nil
}

// checkError holds an error member to JSON-RPC 2.0, section 5.1. Names are compared by
// their exact letters, which encoding/json would not do.
func checkError(b []byte) error {
	if b[0] != '{' {
		return &FieldError{"error", "must be an object"}
	}
	s := &scanner{b: b}
	var code, message []byte
	err := s.object(func(key span) error {
		from := s.i
		if err := s.value(); err != nil {
			return err
		}
		switch string(key.of(b)) {
		case "code":
			code = b[from:s.i]
		case "message":
			message = b[from:s.i]
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case !isInteger(code):
		return &FieldError{"error.code", "must be an integer"}
	case len(message) == 0 || message[0] != '"':
		return &FieldError{"error.message", "must be a string"}
	}
	return nil
}

func isInteger(b []byte) bool {
	_, err := strconv.ParseInt(string(b), 10, 64)
	return err == nil
}

// WithID returns the response's bytes with another id in place. id is one JSON value.
func (r Response) WithID(id []byte) []byte { return replace(r.Body, r.idSpan, id) }

// ErrTooLong is returned by OneLine for an answer past its limit.
var ErrTooLong = errors.New("longer than allowed")

// OneLine returns b with raw newlines as spaces, so that it travels as one line of a
// frame; inside of JSON strings there are none, so the value stays the same. It
// returns ErrTooLong past max bytes. b itself is not changed.
func OneLine(b []byte, limit int) ([]byte, error) {
	if len(b) > limit {
		return nil, ErrTooLong
	}
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return b, nil
	}
	line := bytes.Clone(b)
	for i, c := range line {
		if c == '\n' || c == '\r' {
			line[i] = ' '
		}
	}
	return line, nil
}
