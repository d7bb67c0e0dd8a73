package jsonrpc

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseIDTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, key string }{
		{`"c-42"`, "s:c-42"},
		{`"\u0063-42"`, "s:c-42"},
		{`"1"`, "s:1"},
		{`1`, "i:1"},
		{`0`, "i:0"},
		{`-0`, "i:0"},
		{`-7`, "i:-7"},
		{`9007199254740992`, "i:9007199254740992"},
		{`-9007199254740992`, "i:-9007199254740992"},
		{`" "`, "s: "},
		{`"\u0000"`, "s:\x00"},
		{`"\ud83d\ude00"`, "s:😀"},
		{`"😀"`, "s:😀"},
		{`"i:1"`, "s:i:1"},
		{`"` + strings.Repeat("é", MaxIDCharacters) + `"`, "s:" + strings.Repeat("é", MaxIDCharacters)},
		{`"` + strings.Repeat(`\ud83d\ude00`, MaxIDCharacters) + `"`, "s:" + strings.Repeat("😀", MaxIDCharacters)},
	} {
		id, err := ParseID([]byte(c.raw))
		if err != nil || id.Key != c.key || string(id.Raw) != c.raw || !id.Present() {
			t.Errorf("%s: got %q raw %q %v, want %q", c.raw, id.Key, id.Raw, err, c.key)
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ raw, reason string }{
		{``, "there is no id"},
		{`null`, "must not be null; leave id out for a one-way command"},
		{`true`, "must be a string or an integer"},
		{`{}`, "must be a string or an integer"},
		{`["a"]`, "must be a string or an integer"},
		{`""`, "must not be empty"},
		{`1.5`, "must be a plain integer when it is a number, without fraction or exponent"},
		{`1.0`, "must be a plain integer when it is a number, without fraction or exponent"},
		{`1e3`, "must be a plain integer when it is a number, without fraction or exponent"},
		{`9007199254740993`, "must be within 2^53 when it is a number; use a string"},
		{`-9007199254740993`, "must be within 2^53 when it is a number; use a string"},
		{`99999999999999999999`, "must be within 2^53 when it is a number; use a string"},
		{`"` + strings.Repeat("a", MaxIDCharacters+1) + `"`, "must be at most 128 characters"},
		{`"` + strings.Repeat("a", 5000) + `"`, "must be at most 128 characters"},
		{`"\ud800"`, "must not have half a surrogate pair"},
		{`"\udc00"`, "must not have half a surrogate pair"},
		{`"\ud800\ud800"`, "must not have half a surrogate pair"},
		{`"\ud800x\udc00"`, "must not have half a surrogate pair"},
		{`"x\ud800\n"`, "must not have half a surrogate pair"},
	} {
		if id, err := ParseID([]byte(c.raw)); err == nil || err.Error() != c.reason || id.Present() {
			t.Errorf("%s: got %q, %v; want %q", c.raw, id.Key, err, c.reason)
		}
	}
}

// FuzzParseID holds the key to its promise: two ids have one key exactly when
// encoding/json decodes them to one value of one type.
func FuzzParseID(f *testing.F) {
	f.Add([]byte(`"a"`), []byte(`"\u0061"`))
	f.Add([]byte(`1`), []byte(`"1"`))
	f.Add([]byte(`-0`), []byte(`0`))
	f.Add([]byte(`"\ud800"`), []byte(`"\ufffd"`))
	f.Fuzz(func(t *testing.T, one, other []byte) {
		if CheckJSON(one) != nil || CheckJSON(other) != nil {
			return
		}
		a, errA := ParseID(trim(one))
		b, errB := ParseID(trim(other))
		if errA != nil || errB != nil {
			return
		}
		var va, vb any
		if json.Unmarshal(one, &va) != nil || json.Unmarshal(other, &vb) != nil {
			t.Fatalf("%s, %s: encoding/json refuses what ParseID takes", one, other)
		}
		if (a.Key == b.Key) != (va == vb) {
			t.Fatalf("%s has key %q, %s has key %q; values %v and %v", one, a.Key, other, b.Key, va, vb)
		}
	})
}

// trim is what the parsers do before they look at an id.
func trim(b []byte) []byte {
	s := &scanner{b: b}
	at, _ := s.whole(s.value)
	return at.of(b)
}
