package jsonrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

func TestParseResponse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, body, id string
		failed         bool
	}{
		{`{"jsonrpc":"2.0","id":"a","result":null}`, `{"jsonrpc":"2.0","id":"a","result":null}`, `"a"`, false},
		{"\n{\"result\":{\"id\":1},\"id\" : 7 ,\"jsonrpc\":\"2.0\"} ", "{\"result\":{\"id\":1},\"id\" : 7 ,\"jsonrpc\":\"2.0\"}", `7`, false},
		{`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x","data":[1]}}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x","data":[1]}}`, `null`, true},
		{`{"jsonrpc":"2.0","id":1,"error":{"message":"","code":0},"more":1}`, `{"jsonrpc":"2.0","id":1,"error":{"message":"","code":0},"more":1}`, `1`, true},
	} {
		r, err := ParseResponse([]byte(c.text))
		if err != nil || string(r.Body) != c.body || string(r.ID) != c.id || r.Failed != c.failed {
			t.Errorf("%s: got %s, id %s, failed %v, %v", c.text, r.Body, r.ID, r.Failed, err)
		}
	}
}

func TestParseResponseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, problem string }{
		{`[]`, "response: must be a JSON object"},
		{`{"jsonrpc":"2.0","id":1}`, "response: must have exactly one of result and error"},
		{`{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"m"}}`, "response: must have exactly one of result and error"},
		{`{"jsonrpc":"2.0","result":1}`, "id: is missing"},
		{`{"id":1,"result":1}`, `jsonrpc: must be "2.0"`},
		{`{"jsonrpc":"2.0","id":1,"result":1,"result":2}`, "result: must stand only once"},
		{`{"jsonrpc":"2.0","id":1,"id":1,"result":2}`, "id: must stand only once"},
		{`{"jsonrpc":"2.0","id":1,"error":"x"}`, "error: must be an object"},
		{`{"jsonrpc":"2.0","id":1,"error":null}`, "error: must be an object"},
		{`{"jsonrpc":"2.0","id":1,"error":{}}`, "error.code: must be an integer"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"m"}}`, "error.code: must be an integer"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"m"}}`, "error.code: must be an integer"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":null,"message":"m"}}`, "error.code: must be an integer"},
		{`{"jsonrpc":"2.0","id":1,"error":{"Code":1,"message":"m"}}`, "error.code: must be an integer"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1}}`, "error.message: must be a string"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":null}}`, "error.message: must be a string"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":1,"MESSAGE":"m"}}`, "error.message: must be a string"},
		{`{"jsonrpc":"2.0","id":1,"result":`, "byte 33: the text ends where a value should be"},
		{``, "byte 0: the text ends where a value should be"},
	} {
		if _, err := ParseResponse([]byte(c.text)); err == nil || err.Error() != c.problem {
			t.Errorf("%s:\ngot  %v\nwant %s", c.text, err, c.problem)
		}
	}
}

func TestResponseWithID(t *testing.T) {
	t.Parallel()
	r, err := ParseResponse([]byte(` {"id":"0190","jsonrpc":"2.0","result":{"id":"0190"}} `))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.WithID([]byte(`"c-42"`)); string(got) != `{"id":"c-42","jsonrpc":"2.0","result":{"id":"0190"}}` {
		t.Errorf("got %s", got)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	in := []byte("{\r\n  \"a\": \"x\\ny\"\n}")
	got, err := OneLine(in, 100)
	if err != nil || string(got) != "{    \"a\": \"x\\ny\" }" {
		t.Errorf("got %q, %v", got, err)
	}
	if string(in) != "{\r\n  \"a\": \"x\\ny\"\n}" {
		t.Error("the input was written to")
	}
	plain := []byte(`{"a":1}`)
	if got, err := OneLine(plain, len(plain)); err != nil || &got[0] != &plain[0] {
		t.Errorf("one line already: %q, %v", got, err)
	}
	if _, err := OneLine(plain, len(plain)-1); !errors.Is(err, ErrTooLong) {
		t.Errorf("past the limit: %v", err)
	}
}

// FuzzParseResponse: what a device may send never breaks the reader, and what is taken
// is one line of JSON that carries the client's id once it is put back.
func FuzzParseResponse(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":"0190","result":{"ok":true}}`))
	f.Add([]byte("{\n\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-1,\"message\":\"\"}}"))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"},"result":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResponse(b)
		if err != nil {
			return
		}
		line, err := OneLine(r.WithID([]byte(`"c-42"`)), len(b)+6)
		if err != nil || !json.Valid(line) || bytes.ContainsAny(line, "\n\r") {
			t.Fatalf("%q became %q, %v", b, line, err)
		}
		again, err := ParseResponse(line)
		if err != nil || string(again.ID) != `"c-42"` || again.Failed != r.Failed {
			t.Fatalf("%q became %q, %v", b, line, err)
		}
	})
}
