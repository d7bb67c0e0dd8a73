package jsonrpc

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limits of a request.
const (
	// MaxBatch is the most requests in one batch.
	MaxBatch = 100
	// MaxMethodCharacters is the longest method name, in Unicode code points.
	MaxMethodCharacters = 128
)

// Request is one JSON-RPC 2.0 request, checked, as the bytes that came in.
type Request struct {
	// Body is the request object itself, without space around it.
	Body []byte
	// ID is the zero value for a one-way command (a notification, in JSON-RPC's words).
	ID     ID
	Method string
	// Params are the bytes of an object or array; nil when there are none.
	Params []byte

	idSpan, paramsSpan span
}

// FieldError says which member of a request or response is not what it has to be.
type FieldError struct {
	Field  string
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// ParseRequest reads one request. Its error is a *SyntaxError or a *FieldError; the
// Request carries the id all the same when that could be read.
func ParseRequest(b []byte) (Request, error) {
	s := &scanner{b: b}
	m := members{}
	whole, err := s.whole(func() error { return m.read(s, "request") })
	if err != nil {
		return m.nameless(b), err
	}
	return m.request(b, whole)
}

// ParseBatch reads one request or an array of 1 to MaxBatch of them, and says which it was.
// The error of an item is an *ItemError; nothing of a batch with a bad item may be used.
func ParseBatch(b []byte) (requests []Request, batch bool, err error) {
	s := &scanner{b: b}
	s.space()
	if s.next() != '[' {
		r, err := ParseRequest(b)
		return []Request{r}, false, err
	}
	_, err = s.whole(func() error {
		return s.array(func() error {
			if len(requests) == MaxBatch {
				return &FieldError{"batch", fmt.Sprintf("must have at most %d requests", MaxBatch)}
			}
			r, err := parseItem(s)
			if err != nil {
				return itemError(len(requests), r, err)
			}
			requests = append(requests, r)
			return nil
		})
	})
	if err == nil && len(requests) == 0 {
		err = &FieldError{"batch", "must have at least one request"}
	}
	return requests, true, err
}

func parseItem(s *scanner) (Request, error) {
	m := members{}
	from := s.i
	if err := m.read(s, "request"); err != nil {
		return m.nameless(s.b), err
	}
	return m.request(s.b, span{from, s.i})
}

// ItemError says which item of a batch is wrong, and how.
type ItemError struct {
	// Index counts from 0.
	Index int
	// ID of that item when it could be read, else the zero value.
	ID  ID
	Err error
}

func (e *ItemError) Error() string { return fmt.Sprintf("item %d: %v", e.Index, e.Err) }

func (e *ItemError) Unwrap() error { return e.Err }

func itemError(index int, r Request, err error) error {
	if _, isSyntax := err.(*SyntaxError); isSyntax { //nolint:errorlint // made by this package, never wrapped
		return err
	}
	return &ItemError{Index: index, ID: r.ID, Err: err}
}

// members are the places of what a request or response may hold.
type members struct {
	version, id, method, params, result, failure span
}

// read takes the members of one object; what is the word for it when it is none.
func (m *members) read(s *scanner, what string) error {
	if s.next() != '{' {
		if err := s.value(); err != nil {
			return err
		}
		return &FieldError{what, "must be a JSON object"}
	}
	var twice *span
	err := s.object(func(key span) error {
		from := s.i
		if err := s.value(); err != nil {
			return err
		}
		if place := m.place(s.b, key); place != nil {
			if place.to > 0 {
				twice = place
			}
			*place = span{from, s.i}
		}
		return nil
	})
	if err == nil && twice != nil {
		err = &FieldError{m.name(twice), "must stand only once"}
		if twice == &m.id {
			m.id = span{} // nobody can say which of them is meant
		}
	}
	return err
}

// place is where the member of that key goes; nil for one that is not ours.
func (m *members) place(b []byte, key span) *span {
	name := key.of(b)
	if hasEscape(name) {
		decoded, err := unquote(b[key.from-1 : key.to+1])
		if err != nil {
			return nil
		}
		name = []byte(decoded)
	}
	switch string(name) {
	case "jsonrpc":
		return &m.version
	case "id":
		return &m.id
	case "method":
		return &m.method
	case "params":
		return &m.params
	case "result":
		return &m.result
	case "error":
		return &m.failure
	}
	return nil
}

func (m *members) name(place *span) string {
	switch place {
	case &m.version:
		return "jsonrpc"
	case &m.id:
		return "id"
	case &m.method:
		return "method"
	case &m.params:
		return "params"
	case &m.result:
		return "result"
	}
	return "error"
}

// nameless is all that is told of a request that cannot be used: its id, if one was read.
func (m *members) nameless(b []byte) Request {
	id, _ := ParseID(m.id.of(b))
	return Request{ID: id}
}

func (m *members) request(b []byte, whole span) (Request, error) {
	r := Request{Body: whole.of(b)}
	if m.id.to > 0 {
		id, err := ParseID(m.id.of(b))
		if err != nil {
			return r, &FieldError{"id", err.Error()}
		}
		r.ID = id
		r.idSpan = span{m.id.from - whole.from, m.id.to - whole.from}
	}
	if string(m.version.of(b)) != `"2.0"` {
		return r, &FieldError{"jsonrpc", `must be "2.0"`}
	}
	method, err := methodName(m.method.of(b))
	if err != nil {
		return r, err
	}
	r.Method = method
	if params := m.params.of(b); len(params) > 0 {
		if params[0] != '{' && params[0] != '[' {
			return r, &FieldError{"params", "must be an object or an array; leave it out when there are none"}
		}
		r.Params = params
		r.paramsSpan = span{m.params.from - whole.from, m.params.to - whole.from}
	}
	return r, nil
}

func methodName(raw []byte) (string, error) {
	if len(raw) == 0 {
		return "", &FieldError{"method", "is missing"}
	}
	if raw[0] != '"' {
		return "", &FieldError{"method", "must be a string"}
	}
	name, err := unquote(raw)
	if err != nil {
		return "", &FieldError{"method", err.Error()}
	}
	if err := CheckMethod(name); err != nil {
		return "", &FieldError{"method", err.Error()}
	}
	return name, nil
}

// CheckMethod holds the name of a method to its rule; the error says the rule.
func CheckMethod(name string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > MaxMethodCharacters {
		return fmt.Errorf("must be 1 to %d characters", MaxMethodCharacters)
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7f {
			return errors.New("must not have control characters")
		}
	}
	return nil
}

// WithID returns the request's bytes with another id in place of the client's own; a
// one-way request gets the id as its first member. id is one JSON value.
func (r Request) WithID(id []byte) []byte {
	if !r.ID.Present() {
		// The body starts with a brace, and is not empty: it has jsonrpc and method.
		out := make([]byte, 0, len(r.Body)+len(id)+6)
		out = append(out, `{"id":`...)
		out = append(out, id...)
		out = append(out, ',')
		return append(out, r.Body[1:]...)
	}
	return replace(r.Body, r.idSpan, id)
}

// WithParams returns the request's bytes with other params; one that has none gets them as its last member.
// params is a JSON object or array; the rest stays as it is.
func (r Request) WithParams(params []byte) []byte {
	if len(r.Params) > 0 {
		return replace(r.Body, r.paramsSpan, params)
	}
	end := len(r.Body) - 1 // the closing brace, behind jsonrpc and method
	out := make([]byte, 0, len(r.Body)+len(params)+10)
	out = append(out, r.Body[:end]...)
	out = append(out, `,"params":`...)
	out = append(out, params...)
	return append(out, '}')
}

func replace(b []byte, at span, with []byte) []byte {
	out := make([]byte, 0, len(b)-(at.to-at.from)+len(with))
	out = append(out, b[:at.from]...)
	out = append(out, with...)
	return append(out, b[at.to:]...)
}
