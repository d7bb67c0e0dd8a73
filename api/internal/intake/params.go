package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// ParamsSchema is a compiled JSON Schema of a method's params. It is safe for concurrent use.
type ParamsSchema struct {
	text []byte
	// free are copies that nobody uses; each counts for one validation at a time. When there is none one more is
	// compiled, and kept as long as there is room.
	free chan *measured
}

// measured is a compiled schema with its meter.
type measured struct {
	compiled *jsonschema.Schema
	meter    *meter
}

// copies is the most of one schema that are kept: validations are bound by the processors.
const copies = 4

// schemaURL names the schema for references within it; nothing is ever fetched from anywhere.
const schemaURL = "urn:cupline:params"

// CompileParams compiles a JSON Schema that stands by itself: the drafts' own metaschemas
// are known, and every other reference to another document is refused. Formats are
// annotations, as the standard has it. One that is too costly for the smallest params is refused. The error says
// what is wrong, and where.
func CompileParams(text []byte) (*ParamsSchema, error) {
	first, err := compile(text)
	if err != nil {
		return nil, err
	}
	s := &ParamsSchema{text: text, free: make(chan *measured, copies)}
	s.free <- first
	var costly *ParamsError
	if err := s.Check(nil); errors.As(err, &costly) && costly.Costly {
		return nil, fmt.Errorf("too costly: %w", errCostly)
	}
	return s, nil
}

func compile(text []byte) (*measured, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	m := &meter{left: math.MaxInt} // compiling is bounded by the schema's length
	compiler.UseRegexpEngine(m.engine)
	compiler.RegisterVocabulary(m.vocabulary())
	compiler.AssertVocabs()
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	compiled, err := compiler.Compile(schemaURL)
	var invalid *jsonschema.SchemaValidationError
	var unloadable *jsonschema.LoadURLError
	switch {
	case errors.As(err, &invalid):
		var failed *jsonschema.ValidationError
		if errors.As(invalid.Err, &failed) {
			pointer, reason := deepest(failed)
			return nil, fmt.Errorf("not a JSON Schema: at '%s': %s", pointer, reason)
		}
		return nil, fmt.Errorf("not a JSON Schema: %w", invalid.Err)
	case errors.As(err, &unloadable):
		return nil, fmt.Errorf("refers to %s: only references within the schema itself are followed", unloadable.URL)
	case err != nil:
		return nil, err
	}
	return &measured{compiled: compiled, meter: m}, nil
}

// validate bounds the cost of one validation.
func (m *measured) validate(value any) (err error) {
	defer func() {
		if thrown := recover(); thrown == errCostly { //nolint:errorlint // the very value that spend throws
			err = errCostly
		} else if thrown != nil {
			panic(thrown)
		}
	}()
	m.meter.left = maxSteps
	return m.compiled.Validate(value)
}

// take gives a copy for one validation.
func (s *ParamsSchema) take() (*measured, error) {
	select {
	case m := <-s.free:
		return m, nil
	default:
		return compile(s.text)
	}
}

func (s *ParamsSchema) giveBack(m *measured) {
	select {
	case s.free <- m:
	default: // there are enough
	}
}

// ParamsError says why params fail their schema.
type ParamsError struct {
	// Pointer is a JSON pointer (RFC 6901) into params; empty for params themselves.
	Pointer string
	Reason  string
	// Costly: they were not checked to the end, because that would take too long.
	Costly bool
}

func (e *ParamsError) Error() string { return "params" + e.Pointer + ": " + e.Reason }

// Check validates the bytes of params, which are JSON; nil means that there are none, which
// is checked as an empty object: JSON-RPC lets a caller leave params out. The error is a
// *ParamsError where the params are at fault.
func (s *ParamsSchema) Check(params []byte) error {
	var value any = map[string]any{}
	if len(params) > 0 {
		var err error
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(params)); err != nil {
			return fmt.Errorf("read params: %w", err)
		}
	}
	if !countable(value) {
		return &ParamsError{Reason: fmt.Sprintf("numbers must not have exponents beyond %d", maxExponent)}
	}
	m, err := s.take()
	if err != nil {
		return fmt.Errorf("compile the schema once more: %w", err)
	}
	defer s.giveBack(m)
	err = m.validate(value)
	var failed *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errCostly):
		return &ParamsError{Reason: errCostly.Error(), Costly: true}
	case errors.As(err, &failed):
		pointer, reason := deepest(failed)
		return &ParamsError{Pointer: pointer, Reason: fmt.Sprintf("at '%s': %s", pointer, reason)}
	}
	return fmt.Errorf("validate params: %w", err)
}

// maxExponent is past what a double can hold. The validator computes with exact numbers: a few
// hundred of 1e999999 would keep it busy for seconds.
const maxExponent = 400

// countable reports whether all numbers of a decoded value have sane exponents.
func countable(value any) bool {
	switch v := value.(type) {
	case json.Number:
		at := strings.IndexAny(string(v), "eE")
		if at < 0 {
			return true
		}
		exponent, err := strconv.Atoi(string(v[at+1:]))
		return err == nil && -maxExponent <= exponent && exponent <= maxExponent
	case []any:
		for _, element := range v {
			if !countable(element) {
				return false
			}
		}
	case map[string]any:
		for _, member := range v {
			if !countable(member) {
				return false
			}
		}
	}
	return true
}

// maxReason bounds what is told: validators repeat the offending value.
const maxReason = 300

// deepest finds the first cause that has no further cause: the place to look at.
func deepest(e *jsonschema.ValidationError) (pointer, reason string) {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	var b strings.Builder
	for _, token := range e.InstanceLocation {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
	}
	reason = reasonOf(e.ErrorKind)
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "..."
	}
	return b.String(), reason
}

func reasonOf(k jsonschema.ErrorKind) string {
	if _, isFalse := k.(*kind.FalseSchema); isFalse {
		return "nothing is allowed here"
	}
	return k.LocalizedString(message.NewPrinter(language.English))
}
