package intake

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// bomb is a schema whose references double at each of n turns. wrap says how one leads to the next.
func bomb(draft, definitions, wrap string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"$schema":%q,"$ref":"#/%s/a0",%q:{`, draft, definitions, definitions)
	for i := range n {
		next := fmt.Sprintf(`{"$ref":"#/%s/a%d"}`, definitions, i+1)
		fmt.Fprintf(&b, `"a%d":%s,`, i, strings.ReplaceAll(wrap, "@", next))
	}
	fmt.Fprintf(&b, `"a%d":{"type":["object","string","null","array","number"]}}}`, n)
	return b.String()
}

const (
	draft2020 = "https://json-schema.org/draft/2020-12/schema"
	draft7    = "http://json-schema.org/draft-07/schema#"
)

// Whatever a schema is, checking ends in a moment.
func TestCostlySchemasAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"all of":          bomb(draft2020, "$defs", `{"allOf":[@,@]}`, 40),
		"any of, all bad": strings.Replace(bomb(draft2020, "$defs", `{"anyOf":[@,@]}`, 40), `"object",`, "", 1),
		"not":             bomb(draft2020, "$defs", `{"not":{"allOf":[@,@]}}`, 40),
		"if":              bomb(draft2020, "$defs", `{"if":@,"then":@}`, 40),
		"draft 7":         bomb(draft7, "definitions", `{"allOf":[@,@]}`, 40),
	} {
		began := time.Now()
		_, err := CompileParams([]byte(text))
		if !errors.Is(err, errCostly) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 20*time.Second { // years otherwise
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// A schema that is costly only for some params is found when they come.
func TestCostlyParamsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ schema, params string }{
		"nested": {
			`{"$defs":{"n":{"allOf":[{"properties":{"a":{"$ref":"#/$defs/n"}}},{"properties":{"a":{"$ref":"#/$defs/n"}}}]}},"$ref":"#/$defs/n"}`,
			strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60),
		},
		"a long enumeration of many": {
			`{"properties":{"a":{"items":{"enum":[` + strings.Repeat(`"x",`, 10_000) + `"y"]}}}}`,
			`{"a":[` + strings.Repeat(`"y",`, 10_000) + `"y"]}`,
		},
		"a long pattern on much text": {
			`{"properties":{"a":{"pattern":"` + strings.Repeat("(a|b)*", 5_000) + `c"}}}`, `{"a":"` + strings.Repeat("ab", 30_000) + `"}`,
		},
	} {
		s, err := CompileParams([]byte(c.schema))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var failed *ParamsError
		if err := s.Check([]byte(c.params)); !errors.As(err, &failed) || !failed.Costly {
			t.Errorf("%s: %v", name, err)
		}
		// The next params have a budget of their own.
		if err := s.Check([]byte(`{}`)); err != nil {
			t.Errorf("%s, then: %v", name, err)
		}
	}
}

func TestAnHonestSchemaIsWithinTheBudget(t *testing.T) {
	t.Parallel()
	s, err := CompileParams([]byte(`{"type":"object","properties":{"points":{"type":"array","items":{"type":"object",
		"required":["x","y"],"properties":{"x":{"type":"number"},"y":{"type":"number"},"kind":{"enum":["a","b"]}}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	params := `{"points":[` + strings.Repeat(`{"x":1,"y":2,"kind":"a"},`, 2_500) + `{"x":1,"y":2}]}` // about 64 KiB
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Check([]byte(params)); err != nil {
				t.Error(err)
			}
			if err := s.Check([]byte(`{"points":[{"x":1}]}`)); err == nil {
				t.Error("a point without y passes")
			}
		})
	}
	all.Wait()
}
