package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// ParamsSchema is a compiled JSON Schema of a method's params.
type ParamsSchema struct{ compiled *jsonschema.Schema }

// schemaURL names the schema for references within it; nothing is ever fetched from anywhere.
const schemaURL = "urn:cupline:params"

// CompileParams compiles a JSON Schema that stands by itself: the drafts' own metaschemas
// are known, and every other reference to another document is refused. Formats are
// annotations, as the standard has it. The error says what is wrong, and where.
func CompileParams(text []byte) (*ParamsSchema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
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
	return &ParamsSchema{compiled: compiled}, nil
}

// ParamsError says why params fail their schema.
type ParamsError struct {
	// Pointer is a JSON pointer (RFC 6901) into params; empty for params themselves.
	Pointer string
	Reason  string
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
	err := s.compiled.Validate(value)
	var failed *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
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
