package rpc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cupline/cupline/agent/internal/basic"
	"github.com/cupline/cupline/agent/internal/rpc"
)

func table() rpc.Table {
	t := rpc.Table{}
	basic.Add(t)
	t["fails"] = func(context.Context, rpc.Call) (any, error) { return nil, errors.New("worn out") }
	t["strict"] = func(_ context.Context, c rpc.Call) (any, error) {
		var params struct{ N int }
		return params, c.Bind(&params)
	}
	t["raw"] = func(context.Context, rpc.Call) (any, error) { return rpc.Raw{[]byte("a"), []byte("b")}, nil }
	t["odd"] = func(context.Context, rpc.Call) (any, error) { return make(chan int), nil }
	return t
}

func TestServe(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]string{
		`{"jsonrpc":"2.0","id":"c","method":"echo","params":{"a":[1, 2]}}`:  `{"jsonrpc":"2.0","id":"c","result":{"a":[1,2]}}`,
		`{"jsonrpc":"2.0","id":7,"method":"echo"}`:                          `{"jsonrpc":"2.0","id":7,"result":null}`,
		`{"jsonrpc":"2.0","id":7,"method":"nope"}`:                          `{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"the device has no method \"nope\""}}`,
		`{"jsonrpc":"2.0","id":7,"method":"fails"}`:                         `{"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"worn out"}}`,
		`{"jsonrpc":"2.0","id":7,"method":"strict","params":{"M":1}}`:       `{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"invalid params: json: unknown field \"M\""}}`,
		`{"jsonrpc":"2.0","id":7,"method":"strict","params":[1]}`:           `{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"invalid params: json: cannot unmarshal array into Go value of type struct { N int }"}}`,
		`{"jsonrpc":"2.0","id":7,"method":"odd"}`:                           `{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"the result cannot be written: json: unsupported type: chan int"}}`,
		`{"jsonrpc":"2.0","id":7,"method":"sleep","params":{"seconds":-1}}`: `{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"invalid params: seconds must be 0 to 1200"}}`,
		`{"jsonrpc":"2.0","id":7,"method":"sleep","params":{"seconds":0}}`:  `{"jsonrpc":"2.0","id":7,"result":{"seconds":0}}`,
		`{"jsonrpc":"1.0","id":7,"method":"echo"}`:                          `{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"jsonrpc: must be \"2.0\""}}`,
		`{"jsonrpc":`: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"byte 11: the text ends where a value should be"}}`,
	} {
		got := table().Serve(t.Context(), []byte(request))
		if len(got) != 1 || string(got[0]) != want {
			t.Errorf("%s\n got %s\nwant %s", request, got, want)
		}
	}
}

func TestRequestWithoutIDIsExecutedAndNotAnswered(t *testing.T) {
	t.Parallel()
	ran := false
	methods := rpc.Table{"note": func(context.Context, rpc.Call) (any, error) { ran = true; return nil, nil }}
	if got := methods.Serve(t.Context(), []byte(`{"jsonrpc":"2.0","method":"note"}`)); len(got) != 0 || !ran {
		t.Errorf("executed: %t, answered: %s", ran, got)
	}
	if got := rpc.Refusal([]byte(`{"jsonrpc":"2.0","method":"note"}`), &rpc.Error{}); got != nil {
		t.Errorf("refused aloud: %s", got)
	}
}

func TestRawIsSentAsItIs(t *testing.T) {
	t.Parallel()
	got := table().Serve(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"raw"}`))
	if len(got) != 2 || string(got[0]) != "a" || string(got[1]) != "b" {
		t.Errorf("got %s", got)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := table().Serve(ctx, []byte(`{"jsonrpc":"2.0","id":1,"method":"sleep","params":{"seconds":1000}}`))
	if want := `{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"the agent is stopping"}}`; string(got[0]) != want {
		t.Errorf("got %s", got)
	}
}

func TestCommandIDIsTheBareID(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{`"a-b"`: "a-b", `12`: "12"} {
		if got := (rpc.Call{ID: []byte(raw)}).CommandID(); got != want {
			t.Errorf("%s reads as %s", raw, got)
		}
	}
}

func BenchmarkServe(b *testing.B) {
	methods, request := table(), []byte(`{"jsonrpc":"2.0","id":"0190b1f0-0000-7000-8000-000000000000","method":"echo","params":{"on":true}}`)
	b.ReportAllocs()
	for b.Loop() {
		methods.Serve(context.Background(), request)
	}
}
