package trial_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cupline/cupline/agent/internal/relay"
	"github.com/cupline/cupline/agent/internal/rpc"
	"github.com/cupline/cupline/agent/internal/trial"
	"github.com/cupline/cupline/schema/jsonrpc"
)

func TestEachMisbehavesAsItSays(t *testing.T) {
	t.Parallel()
	r, err := relay.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	table := rpc.Table{}
	trial.Add(table, r)
	r.Add(table)
	serve := func(method, params string) [][]byte {
		return table.Serve(t.Context(), []byte(`{"jsonrpc":"2.0","id":"c-1","method":"`+method+`","params":`+params+`}`))
	}
	is := func(what string, ok bool) {
		t.Helper()
		if !ok {
			t.Error(what)
		}
	}
	id := func(answer []byte) string {
		response, err := jsonrpc.ParseResponse(answer)
		if err != nil {
			t.Errorf("%s: %v", answer, err)
		}
		return string(response.ID)
	}
	late := serve("test.late", `{"seconds":0}`)
	is("late answers once", len(late) == 1 && id(late[0]) == `"c-1"`)
	twice := serve("test.twice", `{}`)
	is("twice answers twice, differently", len(twice) == 2 && id(twice[0]) == id(twice[1]) && string(twice[0]) != string(twice[1]))
	is("never does not answer", len(serve("test.never", `{}`)) == 0)
	garbage := serve("test.garbage", `{}`)
	is("garbage is none", len(garbage) == 1 && !utf8.Valid(garbage[0]) && !json.Valid(garbage[0]))
	is("other_id answers the id told", id(serve("test.other_id", `{"id":"c-2"}`)[0]) == `"c-2"`)
	is("other_id answers some other id", id(serve("test.other_id", `{}`)[0]) != `"c-1"`)
	is("huge is huge", len(serve("test.huge", `{"bytes":1000000}`)[0]) > 1_000_000)
	is("huge is bounded", strings.Contains(string(serve("test.huge", `{"bytes":100000000}`)[0]), "-32602"))
	lines := serve("test.lines", `{}`)[0]
	is("lines has lines and is right", strings.Count(string(lines), "\n") > 2 && id(lines) == `"c-1"`)
	is("error is the error told", string(serve("test.error", `{"code":7,"message":"m"}`)[0]) ==
		`{"jsonrpc":"2.0","id":"c-1","error":{"code":7,"message":"m"}}`)
	is("each execution was counted", strings.Contains(string(serve("relay.get", `{"command_id":"c-1"}`)[0]), `"command_executions":10`))
}
