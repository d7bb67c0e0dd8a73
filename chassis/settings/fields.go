package settings

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Setting is one variable, as the reference shows it.
type Setting struct {
	Name     string
	Default  string // empty for none
	Doc      string
	Required bool
	Secret   bool
}

// field is a setting and the place for its value.
type field struct {
	Setting
	value reflect.Value
}

// fieldsOf lists a struct's settings, those of inner structs in their place. It fails for
// what cannot be read, so that a mistake in a struct is found by the first test.
func fieldsOf(structure reflect.Value) ([]field, error) {
	var fields []field
	names := map[string]bool{}
	for i := range structure.NumField() {
		described, value := structure.Type().Field(i), structure.Field(i)
		name, tagged := described.Tag.Lookup("env")
		if !tagged {
			if value.Kind() != reflect.Struct || !described.IsExported() {
				continue
			}
			inner, err := fieldsOf(value)
			if err != nil {
				return nil, err
			}
			fields = append(fields, inner...)
			continue
		}
		f := field{value: value, Setting: Setting{
			Name: name, Default: described.Tag.Get("default"), Doc: described.Tag.Get("doc"),
			Required: described.Tag.Get("required") == "true", Secret: value.Type() == reflect.TypeFor[Secret](),
		}}
		if name == "" || f.Doc == "" || !value.CanSet() {
			return nil, fmt.Errorf("settings: field %s.%s needs a name, a doc, and to be exported", structure.Type(), described.Name)
		}
		fields = append(fields, f)
	}
	for _, f := range fields {
		if names[f.Name] {
			return nil, fmt.Errorf("settings: %s is named twice", f.Name)
		}
		names[f.Name] = true
	}
	return fields, nil
}

// parse turns text into the value's type. Its errors do not repeat the text.
func parse(into reflect.Value, text string) error {
	if custom, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return custom.UnmarshalText([]byte(text))
	}
	if into.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("must be a duration such as 500ms, 30s or 1h30m")
		}
		into.SetInt(int64(d))
		return nil
	}
	switch into.Kind() {
	case reflect.String:
		into.SetString(text)
		return nil
	case reflect.Slice:
		return parseList(into, text)
	}
	return parseNumber(into, text)
}

func parseNumber(into reflect.Value, text string) error {
	switch into.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("must be true or false")
		}
		into.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, into.Type().Bits())
		if err != nil {
			return fmt.Errorf("must be a whole number of at most %d bits", into.Type().Bits())
		}
		into.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, into.Type().Bits())
		if err != nil {
			return fmt.Errorf("must be a whole number from 0, of at most %d bits", into.Type().Bits())
		}
		into.SetUint(n)
	case reflect.Float32, reflect.Float64:
		n, err := strconv.ParseFloat(text, into.Type().Bits())
		if err != nil {
			return errors.New("must be a number")
		}
		into.SetFloat(n)
	default:
		return fmt.Errorf("cannot be read: settings have no type %s", into.Type())
	}
	return nil
}

// parseList takes a comma separated list apart; spaces around its elements do not count.
func parseList(into reflect.Value, text string) error {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	list := reflect.MakeSlice(into.Type(), len(parts), len(parts))
	for i, part := range parts {
		if err := parse(list.Index(i), part); err != nil {
			return fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	into.Set(list)
	return nil
}
