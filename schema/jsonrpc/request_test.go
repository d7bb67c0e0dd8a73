package jsonrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseRequestKeepsTheBytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, body, id, method, params string }{
		{
			`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`,
			`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`, `"c-42"`, "relay.set", `{"on":true}`,
		},
		{
			" \r\n{ \"params\" : [ 1 , 2 ] , \"method\":\"\\u0065cho\", \"id\" : -7 , \"jsonrpc\":\"2.0\" }\n",
			"{ \"params\" : [ 1 , 2 ] , \"method\":\"\\u0065cho\", \"id\" : -7 , \"jsonrpc\":\"2.0\" }", `-7`, "echo", `[ 1 , 2 ]`,
		},
		{`{"jsonrpc":"2.0","method":"one.way"}`, `{"jsonrpc":"2.0","method":"one.way"}`, ``, "one.way", ``},
		{
			`{"\u0069d":1,"jsonrpc":"2.0","method":"m","extra":{"id":2},"result":0}`,
			`{"\u0069d":1,"jsonrpc":"2.0","method":"m","extra":{"id":2},"result":0}`, `1`, "m", ``,
		},
		{`{"ID":1,"jsonrpc":"2.0","method":"m"}`, `{"ID":1,"jsonrpc":"2.0","method":"m"}`, ``, "m", ``},
	} {
		r, err := ParseRequest([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got := []string{string(r.Body), string(r.ID.Raw), r.Method, string(r.Params)}
		if want := []string{c.body, c.id, c.method, c.params}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.text, got, want)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("m", MaxMethodCharacters+1)
	for _, c := range []struct{ text, problem, id string }{
		{`[]`, "request: must be a JSON object", ``},
		{`"x"`, "request: must be a JSON object", ``},
		{`{}`, `jsonrpc: must be "2.0"`, ``},
		{`{"id":"a","method":"m"}`, `jsonrpc: must be "2.0"`, `"a"`},
		{`{"id":"a","jsonrpc":2.0,"method":"m"}`, `jsonrpc: must be "2.0"`, `"a"`},
		{`{"id":"a","jsonrpc":"1.0","method":"m"}`, `jsonrpc: must be "2.0"`, `"a"`},
		{`{"id":null,"jsonrpc":"2.0","method":"m"}`, "id: must not be null; leave id out for a one-way command", ``},
		{`{"id":"","jsonrpc":"2.0","method":"m"}`, "id: must not be empty", ``},
		{`{"id":1.5,"jsonrpc":"2.0","method":"m"}`, "id: must be a plain integer when it is a number, without fraction or exponent", ``},
		{`{"id":{},"jsonrpc":"2.0","method":"m"}`, "id: must be a string or an integer", ``},
		{`{"id":1,"jsonrpc":"2.0"}`, "method: is missing", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":7}`, "method: must be a string", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":""}`, "method: must be 1 to 128 characters", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":"` + long + `"}`, "method: must be 1 to 128 characters", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":"a\nb"}`, "method: must not have control characters", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":"\ud800"}`, "method: must not have half a surrogate pair", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":"m","params":7}`, "params: must be an object or an array; leave it out when there are none", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":"m","params":null}`, "params: must be an object or an array; leave it out when there are none", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":"m","method":"n"}`, "method: must stand only once", `1`},
		{`{"id":1,"jsonrpc":"2.0","params":{},"method":"m","p\u0061rams":{}}`, "params: must stand only once", `1`},
		{`{"id":1,"id":2,"jsonrpc":"2.0","method":"m"}`, "id: must stand only once", ``},
		{`{"id":1,"jsonrpc":"2.0","jsonrpc":"2.0","method":"m"}`, "jsonrpc: must stand only once", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":}`, "byte 33: '}' where a value should be", `1`},
		{`{"id":1,"jsonrpc":"2.0","method":"m"}}`, "byte 37: more text after the end of the value", `1`},
	} {
		r, err := ParseRequest([]byte(c.text))
		if err == nil || err.Error() != c.problem {
			t.Errorf("%s:\ngot  %v\nwant %s", c.text, err, c.problem)
		}
		if string(r.ID.Raw) != c.id {
			t.Errorf("%s: told id %q, want %q", c.text, r.ID.Raw, c.id)
		}
		var syntax *SyntaxError
		var field *FieldError
		if !errors.As(err, &syntax) && !errors.As(err, &field) {
			t.Errorf("%s: %T is neither of the two errors", c.text, err)
		}
	}
}

const item = `{"jsonrpc":"2.0","id":%d,"method":"m"}`

func batch(n int) []byte {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(item, i)
	}
	return []byte("[" + strings.Join(items, " , ") + "]")
}

func TestParseBatch(t *testing.T) {
	t.Parallel()
	one, isBatch, err := ParseBatch([]byte(" " + fmt.Sprintf(item, 5)))
	if err != nil || isBatch || len(one) != 1 || one[0].ID.Key != "i:5" {
		t.Errorf("a single request: %v %v %v", one, isBatch, err)
	}
	for _, n := range []int{1, 2, MaxBatch} {
		requests, isBatch, err := ParseBatch(batch(n))
		if err != nil || !isBatch || len(requests) != n {
			t.Errorf("%d items: got %d, batch %v, %v", n, len(requests), isBatch, err)
			continue
		}
		for i, r := range requests {
			if want := fmt.Sprintf(item, i); string(r.Body) != want || r.ID.Key != fmt.Sprintf("i:%d", i) {
				t.Errorf("item %d of %d: %s, id %s", i, n, r.Body, r.ID.Key)
			}
		}
	}
}

func TestParseBatchRefuses(t *testing.T) {
	t.Parallel()
	good := fmt.Sprintf(item, 1)
	for _, c := range []struct{ text, problem string }{
		{`[]`, "batch: must have at least one request"},
		{string(batch(MaxBatch + 1)), "batch: must have at most 100 requests"},
		{`[` + good + `,7]`, "item 1: request: must be a JSON object"},
		{`[` + good + `,[` + good + `]]`, "item 1: request: must be a JSON object"},
		{`[` + good + `,{"jsonrpc":"2.0","id":null,"method":"m"}]`, "item 1: id: must not be null; leave id out for a one-way command"},
		{`[{"jsonrpc":"2.0","id":"x"},` + good + `]`, "item 0: method: is missing"},
		{`[` + good + `,]`, "byte 39: ']' where a value should be"},
		{`[` + good + `] x`, "byte 40: more text after the end of the value"},
		{`[` + good, "byte 38: the text ends where a comma or ] should be"},
	} {
		_, isBatch, err := ParseBatch([]byte(c.text))
		if !isBatch || err == nil || err.Error() != c.problem {
			t.Errorf("%.80s:\ngot  %v\nwant %s", c.text, err, c.problem)
		}
	}
	_, _, err := ParseBatch([]byte(`[` + good + `,{"jsonrpc":"2.0","id":"x"}]`))
	var bad *ItemError
	if !errors.As(err, &bad) || bad.Index != 1 || string(bad.ID.Raw) != `"x"` {
		t.Errorf("got %#v, want item 1 with its id", err)
	}
}

func TestRequestWithID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{` { "id" : "c-42", "jsonrpc":"2.0","method":"m"} `, `{ "id" : "NEW", "jsonrpc":"2.0","method":"m"}`},
		{`{"jsonrpc":"2.0","method":"m","params":{"id":1},"id":7}`, `{"jsonrpc":"2.0","method":"m","params":{"id":1},"id":"NEW"}`},
		{`{"jsonrpc":"2.0","method":"m"}`, `{"id":"NEW","jsonrpc":"2.0","method":"m"}`},
		{`{ "jsonrpc":"2.0","method":"m"}`, `{"id":"NEW", "jsonrpc":"2.0","method":"m"}`},
	} {
		r, err := ParseRequest([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		before := string(r.Body)
		if got := r.WithID([]byte(`"NEW"`)); string(got) != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.text, got, c.want)
		}
		if string(r.Body) != before {
			t.Errorf("%s: WithID changed the request itself", c.text)
		}
	}
	requests, _, err := ParseBatch([]byte(`[ {"jsonrpc":"2.0","id":1,"method":"a"}, {"jsonrpc":"2.0","method":"b","id":2} ]`))
	if err != nil {
		t.Fatal(err)
	}
	if got := requests[1].WithID([]byte(`9`)); string(got) != `{"jsonrpc":"2.0","method":"b","id":9}` {
		t.Errorf("within a batch: %s", got)
	}
	if got := requests[0].WithID([]byte(`"longer than it was"`)); string(got) != `{"jsonrpc":"2.0","id":"longer than it was","method":"a"}` {
		t.Errorf("a longer id: %s", got)
	}
}

// FuzzParseBatch: whatever comes in, what is taken is what encoding/json sees, byte for
// byte, and an id can be replaced and put back without a trace.
func FuzzParseBatch(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`))
	f.Add([]byte(` [ {"jsonrpc":"2.0","id":1,"method":"a"} , {"method":"b","jsonrpc":"2.0"} ] `))
	f.Add([]byte(`{"jsonrpc":"2.0","\u0069d":1,"method":"a"}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}`))
	f.Add([]byte(`[{"jsonrpc":"2.0","id":1.5,"method":"a"}]`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"a","params":[{"id":[]}]}x`))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		requests, _, err := ParseBatch(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was written to")
		}
		if err != nil {
			return
		}
		for _, r := range requests {
			if !bytes.Contains(b, r.Body) || !json.Valid(r.Body) {
				t.Fatalf("%q: not a part of the input that is JSON", r.Body)
			}
			replaced, err := ParseRequest(r.WithID([]byte(`"other"`)))
			if err != nil || replaced.ID.Key != "s:other" || replaced.Method != r.Method || !bytes.Equal(replaced.Params, r.Params) {
				t.Fatalf("%q with another id became %q, %v", r.Body, replaced.Body, err)
			}
			if r.ID.Present() && !bytes.Equal(replaced.WithID(r.ID.Raw), r.Body) {
				t.Fatalf("%q did not come back: %q", r.Body, replaced.WithID(r.ID.Raw))
			}
		}
	})
}

func TestWithParams(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"jsonrpc":"2.0","params":{"on":true},"id":1,"method":"m"}`:                      `{"jsonrpc":"2.0","params":[1],"id":1,"method":"m"}`,
		` { "id" : "a" , "method":"m","jsonrpc":"2.0" , "par\u0061ms" : [ 2 ] , "x":{}} `: `{ "id" : "a" , "method":"m","jsonrpc":"2.0" , "par\u0061ms" : [1] , "x":{}}`,
		`{"jsonrpc":"2.0","method":"m" }`:                                                 `{"jsonrpc":"2.0","method":"m" ,"params":[1]}`,
	} {
		r, err := ParseRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		got := r.WithParams([]byte(`[1]`))
		if string(got) != want {
			t.Errorf("%s became %s", body, got)
		}
		if again, err := ParseRequest(got); err != nil || string(again.Params) != "[1]" || again.ID.Key != r.ID.Key {
			t.Errorf("%s: %+v, %v", got, again, err)
		}
	}
}
