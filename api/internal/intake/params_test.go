package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/message"
)

// never is a broker that takes messages and never confirms.
type never struct{}

func (never) Publish(ctx context.Context, _ message.Message) error {
	<-ctx.Done()
	return &PublishError{InDoubt, ctx.Err()}
}

func (never) Submit(ctx context.Context, _ message.Message, done func(error)) {
	go func() {
		<-ctx.Done()
		done(&PublishError{InDoubt, ctx.Err()})
	}()
}

func TestCompileParams(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `true`, `false`, `{"type":["object","null"]}`, `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}`,
		`{"$defs":{"x":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/x"}}}`, `{"$id":"https://acme.example/a","type":"object"}`,
		`{"properties":{"a":{"pattern":"^[a-z]+$","format":"made-up"}}}`,
	} {
		if _, err := CompileParams([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`{`:                                     "not JSON",
		`7`:                                     "at '': got number, want boolean or object",
		`null`:                                  "at '': got null, want boolean or object",
		`{"type":"objekt"}`:                     "at '/type': ",
		`{"properties":{"on":{"minimum":"x"}}}`: "at '/properties/on/minimum': got string, want number",
		`{"pattern":"("}`:                       "at '/pattern': '(' is not valid regex",
		`{"$ref":"#/$defs/none"}`:               "not found",
		`{"$ref":"http://127.0.0.1:1/x"}`:       "refers to http://127.0.0.1:1/x: only references within",
		`{"$ref":"file:///etc/hostname"}`:       "refers to file:///etc/hostname: only references within",
		`{"$schema":"https://acme.example/meta"}`: "refers to https://acme.example/meta: only",
	} {
		if _, err := CompileParams([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestCheckParams(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schema, params, pointer, reason string }{
		{`{"required":["on"]}`, `{"on":1}`, "", ""},
		{`{"type":"object"}`, ``, "", ""},
		{`{"type":"array"}`, `[1]`, "", ""},
		{`true`, `{"n":1e400}`, "", ""},
		{`{"properties":{"n":{"maximum":9007199254740993}}}`, `{"n":9007199254740993}`, "", ""},
		{`{"properties":{"n":{"maximum":9007199254740992}}}`, `{"n":9007199254740993}`, "/n", "maximum"},
		{`{"required":["on"]}`, ``, "", "on"},
		{`{"type":"array"}`, `{}`, "", "want array"},
		{`false`, `{}`, "", "nothing is allowed here"},
		{`{"properties":{"a/b":{"items":{"type":"integer"}}}}`, `{"a/b":[1,"x"]}`, "/a~1b/1", "got string, want integer"},
		{`{"additionalProperties":false}`, `{"x":1}`, "", "additional properties 'x' not allowed"},
		{`{"properties":{"s":{"enum":["a"]}}}`, `{"s":"` + strings.Repeat("é", 5000) + `"}`, "/s", "value must be"},
		{`{"items":{"multipleOf":3}}`, `[1e401]`, "", "exponents beyond 400"},
		{`{"items":{"multipleOf":3}}`, `[1e-99999999999999999999]`, "", "exponents beyond 400"},
		{`{"properties":{"a":true}}`, `{"a":[{"b":-1E+999999}]}`, "", "exponents beyond 400"},
	} {
		s, err := CompileParams([]byte(c.schema))
		if err != nil {
			t.Fatal(c.schema, err)
		}
		err = s.Check([]byte(c.params))
		var failed *ParamsError
		switch {
		case c.reason == "" && err != nil:
			t.Errorf("%s of %.60s: %v", c.schema, c.params, err)
		case c.reason == "":
		case !errors.As(err, &failed) || failed.Pointer != c.pointer || !strings.Contains(failed.Reason, c.reason) || len(failed.Reason) > 2*maxReason:
			t.Errorf("%s of %.60s: %v, want %s at %q", c.schema, c.params, err, c.reason, c.pointer)
		}
	}
}

// The worst that 64 KiB of numbers can do to the exact arithmetic of the validator stays harmless.
func TestNumbersCannotStallTheValidator(t *testing.T) {
	t.Parallel()
	s, err := CompileParams([]byte(`{"items":{"multipleOf":0.1,"maximum":1e300}}`))
	if err != nil {
		t.Fatal(err)
	}
	params := "[" + strings.Repeat("1e400,", 10_000) + "1]"
	done := make(chan error, 1)
	go func() { done <- s.Check([]byte(params)) }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("1e400 is above 1e300")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("still computing")
	}
}

func TestSchemasAreCompiledOnceAndBounded(t *testing.T) {
	t.Parallel()
	kept := newSchemas(3)
	key := func(version int64) schemaKey { return schemaKey{"acme", "lamp", version, "m"} }
	first, err := kept.get(key(1), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			// Not JSON: if it were compiled again, it would fail.
			if again, err := kept.get(key(1), []byte(`{`)); err != nil || again != first {
				t.Errorf("compiled again: %v", err)
			}
		})
	}
	wg.Wait()
	for version := int64(2); version <= 4; version++ {
		if _, err := kept.get(key(version), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	if len(kept.byKey) != 3 || kept.order.Len() != 3 {
		t.Errorf("%d kept", len(kept.byKey))
	}
	if again, err := kept.get(key(1), []byte(`{}`)); err != nil || again == first {
		t.Errorf("the one used longest ago was to be forgotten: %v", err)
	}
	if _, err := kept.get(key(9), []byte(`{`)); err == nil {
		t.Error("what does not compile")
	}
}

func ExampleCompileParams() {
	schema, _ := CompileParams([]byte(`{"required":["on"],"properties":{"on":{"type":"boolean"}}}`))
	fmt.Println(schema.Check([]byte(`{"on":"yes"}`)))
	// Output: params/on: at '/on': got string, want boolean
}
