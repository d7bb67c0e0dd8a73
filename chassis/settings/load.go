// Package settings reads the environment into one struct, and reports every problem at
// once. Each field says its own name, default and meaning:
//
//	type Settings struct {
//		AMQP  settings.Secret `env:"CUPLINE_AMQP_URL" required:"true" doc:"where the broker is"`
//		Drain time.Duration   `env:"CUPLINE_DRAIN" default:"20s" doc:"how long a stop may take"`
//		Log   telemetry.LogConfig // structs without a tag are read field by field
//	}
//
// Fields are strings, Secrets, booleans, integers, floats, durations (Go's: 30s), lists of
// strings (comma separated), or anything that unmarshals text. A value may also come from
// a file: NAME_FILE holds its path, and one trailing newline is cut off. An empty value
// counts as unset.
package settings

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// fileSuffix makes the name of the variable that holds a path to the value.
const fileSuffix = "_FILE"

// Check is what a settings struct, or one inside it, may have; it is asked once everything
// is read without a problem.
type Check interface{ Check() error }

// Load fills the struct that into points to from environ, which is in the form of
// os.Environ. The error lists every problem, one a line, and shows no secret.
func Load(into any, environ []string) error {
	values := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && value != "" {
			values[name] = value
		}
	}
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("settings: cannot load into %T: want a pointer to a struct", into)
	}
	fields, err := fieldsOf(target.Elem())
	if err != nil {
		return err
	}
	var problems []error
	for _, f := range fields {
		if err := f.load(values); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) == 0 {
		problems = check(target)
	}
	return report(problems)
}

// load finds the field's value and parses it.
func (f field) load(values map[string]string) error {
	value, set := values[f.Name]
	path, fromFile := values[f.Name+fileSuffix]
	switch {
	case set && fromFile:
		return fmt.Errorf("%s and %s%s are both set: which one?", f.Name, f.Name, fileSuffix)
	case fromFile:
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s%s: %w", f.Name, fileSuffix, err)
		}
		value = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	case !set:
		value = f.Default
	}
	if value == "" {
		if f.Required {
			return fmt.Errorf("%s is not set: %s", f.Name, f.Doc)
		}
		return nil
	}
	if err := parse(f.value, value); err != nil {
		shown := fmt.Sprintf("%q", value)
		if f.Secret {
			shown = redacted
		}
		return fmt.Errorf("%s is %s: %w", f.Name, shown, err)
	}
	return nil
}

// check asks the struct and those inside it, innermost first.
func check(target reflect.Value) []error {
	var problems []error
	structure := target.Elem()
	for i := range structure.NumField() {
		inner := structure.Field(i)
		if inner.Kind() == reflect.Struct && structure.Type().Field(i).IsExported() {
			problems = append(problems, check(inner.Addr())...)
		}
	}
	if c, ok := target.Interface().(Check); ok {
		if err := c.Check(); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

func report(problems []error) error {
	if len(problems) == 0 {
		return nil
	}
	lines := make([]string, 0, len(problems))
	for _, problem := range problems {
		for line := range strings.SplitSeq(problem.Error(), "\n") {
			lines = append(lines, "  - "+line)
		}
	}
	return &problemsError{text: "the settings have problems:\n" + strings.Join(slices.Compact(lines), "\n"), causes: errors.Join(problems...)}
}

// problemsError prints as a list, and is asked as the errors in it.
type problemsError struct {
	text   string
	causes error
}

func (e *problemsError) Error() string { return e.text }
func (e *problemsError) Unwrap() error { return e.causes }
