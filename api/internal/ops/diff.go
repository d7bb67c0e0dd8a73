package ops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Change is one place where edited params differ from the old ones.
type Change struct {
	// At is a JSON pointer (RFC 6901) into params; empty for params themselves.
	At string `json:"at"`
	// Old and New are JSON values; nil where there is none.
	Old json.RawMessage `json:"old,omitempty"`
	New json.RawMessage `json:"new,omitempty"`
}

// maxChanges bounds what is told of an edit; past it the last change is params as a whole.
const maxChanges = 100

// differences compares two params, the deepest places that differ, in the order of their names. Nil is none.
func differences(old, edited []byte) ([]Change, error) {
	var values [2]any
	for i, text := range [][]byte{old, edited} {
		if text == nil {
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber() // 1e400 and 1.0 stay what they are
		if err := decoder.Decode(&values[i]); err != nil {
			return nil, fmt.Errorf("read params: %w", err)
		}
	}
	d := differ{}
	d.compare("", values[0], values[1], old != nil, edited != nil)
	if len(d.changes) > maxChanges {
		d.changes = append(d.changes[:maxChanges-1], Change{Old: old, New: edited})
	}
	return d.changes, nil
}

type differ struct{ changes []Change }

// compare adds the differences at a place. had and has tell nothing from null.
func (d *differ) compare(at string, old, edited any, had, has bool) {
	if had && has && reflect.DeepEqual(old, edited) {
		return
	}
	oldMembers, wasObject := old.(map[string]any)
	newMembers, isObject := edited.(map[string]any)
	if wasObject && isObject {
		names := maps.Clone(oldMembers)
		maps.Copy(names, newMembers)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			before, had := oldMembers[name]
			after, has := newMembers[name]
			d.compare(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), before, after, had, has)
		}
		return
	}
	oldList, wasList := old.([]any)
	newList, isList := edited.([]any)
	if wasList && isList {
		item := func(list []any, i int) (any, bool) {
			if i < len(list) {
				return list[i], true
			}
			return nil, false
		}
		for i := range max(len(oldList), len(newList)) {
			before, had := item(oldList, i)
			after, has := item(newList, i)
			d.compare(at+"/"+strconv.Itoa(i), before, after, had, has)
		}
		return
	}
	c := Change{At: at}
	if had {
		c.Old, _ = json.Marshal(old) // was decoded from JSON
	}
	if has {
		c.New, _ = json.Marshal(edited)
	}
	d.changes = append(d.changes, c)
}

// maxSummary bounds what the audit trail gets of an edit, in bytes.
const maxSummary = 1000

// summary of an edit for people.
func summary(changes []Change) string {
	var b strings.Builder
	for i, c := range changes {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %s -> %s", orWord(c.At, "params"), orWord(string(c.Old), "nothing"), orWord(string(c.New), "nothing"))
		if b.Len() > maxSummary {
			return strings.ToValidUTF8(b.String()[:maxSummary], "") + "..."
		}
	}
	return b.String()
}

func orWord(text, word string) string {
	if text == "" {
		return word
	}
	return text
}
