package settings

import (
	"fmt"
	"reflect"
	"strings"
)

// Reference lists what Load reads into a struct like of, which may be a pointer.
func Reference(of any) ([]Setting, error) {
	kind := reflect.TypeOf(of)
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	fields, err := fieldsOf(reflect.New(kind).Elem())
	if err != nil {
		return nil, err
	}
	settings := make([]Setting, 0, len(fields))
	for _, f := range fields {
		settings = append(settings, f.Setting)
	}
	return settings, nil
}

// Markdown prints the reference as a table, for the documentation.
func Markdown(of any) (string, error) {
	settings, err := Reference(of)
	if err != nil {
		return "", err
	}
	var table strings.Builder
	table.WriteString("| variable | default | meaning |\n| --- | --- | --- |\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, s := range settings {
		otherwise := "`" + s.Default + "`"
		switch {
		case s.Required:
			otherwise = "required"
		case s.Default == "":
			otherwise = ""
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", s.Name, cell.Replace(otherwise), cell.Replace(s.Doc))
	}
	return table.String(), nil
}
