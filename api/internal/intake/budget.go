package intake

import (
	"errors"
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxSteps bounds what one validation may cost. A step is about one keyword at one value; a large and honest schema takes some
// thousands for the largest params. Without a bound a schema of a few hundred bytes, whose references double at each
// turn, would keep a processor busy for years.
const maxSteps = 100_000

// errCostly ends a validation by a panic, which Check takes back: the validator has no other way out.
var errCostly = errors.New("checking these params against the method's schema takes too long")

// meter counts the steps of the one validation that has its schema.
type meter struct{ left int }

func (m *meter) spend(n int) {
	if m.left -= n; m.left < 0 {
		panic(errCostly)
	}
}

// vocabulary has every schema object count, also those without a keyword that is counted.
func (m *meter) vocabulary() *jsonschema.Vocabulary {
	return &jsonschema.Vocabulary{
		URL: "urn:cupline:budget",
		Compile: func(_ *jsonschema.CompilerContext, obj map[string]any) (jsonschema.SchemaExt, error) {
			return counted{meter: m, steps: 1 + weight(obj)}, nil
		},
	}
}

// counted is one schema object's cost.
type counted struct {
	meter *meter
	steps int // for each value
}

// Validate counts, and finds nothing wrong.
func (c counted) Validate(_ *jsonschema.ValidatorContext, v any) {
	n := c.steps
	switch v := v.(type) {
	case map[string]any:
		n += len(v)
	case []any:
		n += len(v)
	}
	c.meter.spend(n)
}

// weight is how many values a schema object compares with, or tries, by itself.
func weight(obj map[string]any) int {
	n := 0
	for _, keyword := range []string{"enum", "required", "allOf", "anyOf", "oneOf", "prefixItems", "items"} {
		if list, is := obj[keyword].([]any); is {
			n += len(list)
		}
	}
	for _, keyword := range []string{"dependentRequired", "dependentSchemas", "dependencies"} {
		if object, is := obj[keyword].(map[string]any); is {
			n += len(object)
		}
	}
	return n
}

// pattern is a regular expression that pays before it looks: its time is in proportion to its program and to the text.
type pattern struct {
	*regexp.Regexp
	meter *meter
	size  int // instructions
}

// perStep is how many instructions times bytes make a step.
const perStep = 200

// MatchString pays, and matches.
func (p pattern) MatchString(text string) bool {
	p.meter.spend(1 + p.size*len(text)/perStep)
	return p.Regexp.MatchString(text)
}

// engine compiles the schema's regular expressions.
func (m *meter) engine(text string) (jsonschema.Regexp, error) {
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	return pattern{Regexp: compiled, meter: m, size: len(program.Inst)}, nil
}
