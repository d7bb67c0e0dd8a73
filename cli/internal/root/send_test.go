package root_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/clients/go/cuplinetest"
	"github.com/cupline/cupline/schema/push"
)

const commandID = "0190b1f0-0000-7000-8000-000000000001"

func TestSendTellsWhatWasAccepted(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	posted := bodies(p)
	e := execute(t.Context(), on(p), "", "send", "lamp-1", "relay.set", `{"on":true}`, "--id", "c-42", "--ttl", "30s")
	if e.code != exit.OK || !strings.HasPrefix(e.out, `accepted "c-42" as command `+commandID) {
		t.Errorf("ends with %+v", e)
	}
	if got, want := <-posted, `30s {"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`; got != want {
		t.Errorf("posted %s", got)
	}
	e = execute(t.Context(), on(p), ` {"a": [1, 2]} `, "send", "lamp-1", "echo", "-", "--id", "c-43", "--output", "json")
	if e.code != exit.OK || e.out != `{"id":"c-43","command_id":"`+commandID+`","expires_at":"2030-01-01T00:00:00Z"}`+"\n" {
		t.Errorf("ends with %+v", e)
	}
	if got, want := <-posted, ` {"jsonrpc":"2.0","id":"c-43","method":"echo","params":{"a":[1,2]}}`; got != want {
		t.Errorf("posted %s", got)
	}
}

func TestOneWayHasNoID(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	posted := make(chan string, 1)
	p.Handle(cuplinetest.Commands, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- string(body)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"id":null,"command_id":"`+commandID+`","expires_at":"2030-01-01T00:00:00Z"}`)
	})
	e := execute(t.Context(), on(p), "", "send", "lamp-1", "echo", "--one-way")
	if e.code != exit.OK || !strings.HasPrefix(e.out, "accepted command "+commandID) {
		t.Errorf("ends with %+v", e)
	}
	if got := <-posted; got != `{"jsonrpc":"2.0","method":"echo"}` {
		t.Errorf("posted %s", got)
	}
}

func TestEachEndHasItsExitCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		post http.HandlerFunc
		want int
		says string
	}{
		"refused":  {cuplinetest.Problem(422, "invalid_params", "in detail"), exit.Refused, "in detail"},
		"key":      {cuplinetest.Problem(401, "unauthorized", "revoked"), exit.Refused, "Check CUPLINE_KEY"},
		"in doubt": {cuplinetest.Problem(504, "in_doubt", ""), exit.InDoubt, "same --id again is safe"},
		"cut":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, exit.InDoubt, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := cuplinetest.New(t)
			p.Handle(cuplinetest.Commands, c.post)
			e := execute(t.Context(), on(p), "", "send", "lamp-1", "echo")
			if e.code != c.want || !strings.Contains(e.errs, c.says) || e.out != "" {
				t.Errorf("ends with %+v", e)
			}
			e = execute(t.Context(), on(p), "", "send", "lamp-1", "echo", "-o", "json")
			var failure struct {
				Error    string `json:"error"`
				ExitCode int    `json:"exit_code"`
			}
			if err := json.Unmarshal([]byte(e.errs), &failure); err != nil || e.code != c.want || failure.ExitCode != e.code || failure.Error == "" {
				t.Errorf("as JSON it ends with %+v", e)
			}
		})
	}
}

func TestMistakesEndBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	p.Handle(cuplinetest.Commands, func(http.ResponseWriter, *http.Request) { t.Error("something was posted") })
	for _, args := range [][]string{
		{"nope"}, {"send"}, {"send", "a"}, {"send", "a", "b", "c", "d"}, {"send", "a", "b", "--nope"}, {"keys", "nope"},
		{"send", "a", "b", "{"}, {"send", "a", "b", "--ttl=-1s"}, {"send", "a", "b", "--wait", "--one-way"},
		{"send", "a", "b", "-o", "xml"}, {"listen", "--window=65"}, {"devices", "put", "a"}, {"devices", "put", "a.b", "--type", "t"},
		{"devices", "put", "a", "--type", "t", "--address", "{"}, {"device-types", "put", "t"}, {"device-types", "put", "t", "-f", "/no/such/file"},
		{"keys", "create"}, {"keys", "create", "--client", "c", "--database"}, {"keys", "list", "--database"}, {"keys", "rotate"}, {"keys", "rotate", "k", "--overlap=-1s"}, {"tenants", "put"},
		{"lanes", "put", "l", "--max-ttl", "1ms"}, {"lanes", "list"}, {"migrate", "up"}, {"topology", "check"},
	} {
		if e := execute(t.Context(), on(p), "", args...); e.code != exit.Usage || e.errs == "" {
			t.Errorf("%q ends with %+v", args, e)
		}
	}
	if e := execute(t.Context(), nil, "", "send", "a", "b", "--wait"); e.code != exit.Usage || !strings.Contains(e.errs, "CUPLINE_PUSH_URL") {
		t.Errorf("without settings it ends with %+v", e)
	}
}

func TestWaitPrintsTheResponseAndExitsAsItWent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		origin, answer string
		want           int
	}{
		"result": {"device", `"result":{"load1":0.5}`, exit.OK},
		"device": {"device", `"error":{"code":-32601,"message":"no such method"}`, exit.DeviceError},
		"not":    {"platform", `"error":{"code":-32011,"message":"m","data":{"reason":"device_offline","executed":"no"}}`, exit.NotExecuted},
		"maybe":  {"platform", `"error":{"code":-32012,"message":"m","data":{"reason":"no_answer","executed":"maybe"}}`, exit.MaybeExecuted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := cuplinetest.New(t)
			posted := bodies(p)
			done := launch(t.Context(), p, "send", "lamp-1", "echo", "--wait", "--id", "c-42")
			s := p.Next()
			s.Greet("s-1")
			<-posted
			s.Send(cuplinetest.Outcome(1, `"c-42"`, commandID, c.origin, c.answer))
			if f := s.Read(); f.Type != push.TypeAck || f.Seq != 1 {
				t.Errorf("the outcome was answered with %+v", f)
			}
			e := <-done
			if want := `{"jsonrpc":"2.0","id":"c-42",` + c.answer + "}\n"; e.code != c.want || e.out != want {
				t.Errorf("ends with %+v", e)
			}
			if (e.errs == "") != (c.want == exit.OK) {
				t.Errorf("standard error says %q", e.errs)
			}
		})
	}
}

func TestWaitLeavesOutcomesOfOthersAlone(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var acks mailed
	acks.watch(p)
	posted := bodies(p)
	done := launch(t.Context(), p, "send", "lamp-1", "echo", "--wait", "--id", "c-42", "-o", "json")
	s := p.Next()
	s.Greet("s-1")
	<-posted
	s.Send(cuplinetest.Outcome(1, `"other"`, "cmd-0", "device", `"result":0`), cuplinetest.Outcome(2, `"c-42"`, commandID, "device", `"result":1`))
	if f, err := s.TryRead(); err == nil {
		t.Errorf("the client sent %+v over the socket", f)
	}
	e := <-done
	if e.code != exit.OK || !strings.Contains(e.out, `"command_id":"`+commandID+`"`) || !strings.Contains(e.out, `"result":1`) {
		t.Errorf("ends with %+v", e)
	}
	if !acks.are(commandID) {
		t.Errorf("acked %v over HTTP", acks.ids)
	}
}

func TestWaitFallsBackOnTheLedger(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var acks mailed
	acks.watch(p)
	posted := bodies(p)
	p.Handle("GET /v1/commands/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"id":"c-42","command_id":"`+r.PathValue("id")+`","state":"decided","device":"lamp-1","method":"echo",
			"origin":"device","response":{"jsonrpc":"2.0","id":"c-42","result":7}}`)
	})
	done := launch(t.Context(), p, "send", "lamp-1", "echo", "--wait", "--id", "c-42")
	p.Next().Greet("s-1")
	<-posted
	if e := <-done; e.code != exit.OK || e.out != `{"jsonrpc":"2.0","id":"c-42","result":7}`+"\n" {
		t.Errorf("ends with %+v", e)
	}
	if !acks.are(commandID) {
		t.Errorf("acked %v over HTTP", acks.ids)
	}
}

func TestWaitEndsInTimeAndSaysWhereToAsk(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	bodies(p)
	// The time counts from the post on, which has to be answered within it, too.
	done := launch(t.Context(), p, "send", "lamp-1", "echo", "--wait", "--timeout", "3s")
	p.Next().Greet("s-1")
	if e := <-done; e.code != exit.NoOutcome || !strings.Contains(e.errs, "/v1/commands/"+commandID) {
		t.Errorf("ends with %+v", e)
	}
}

func TestInterruptedWaitSaysThatItWasAccepted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	p := cuplinetest.New(t)
	asked := make(chan struct{})
	p.Handle(cuplinetest.Commands, cuplinetest.Accept(commandID))
	p.Handle("GET /v1/commands/{id}", func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		cuplinetest.Problem(404, "unknown_command", "not started yet")(w, r)
	})
	done := launch(ctx, p, "send", "lamp-1", "echo", "--wait")
	p.Next().Greet("s-1")
	<-asked
	interrupt()
	if e := <-done; e.code != exit.Interrupted || !strings.Contains(e.errs, "command "+commandID+" was accepted") {
		t.Errorf("ends with %+v", e)
	}
}
