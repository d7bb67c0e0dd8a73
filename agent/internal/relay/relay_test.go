package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cupline/cupline/agent/internal/rpc"
)

func open(t *testing.T, folder string) *Relay {
	t.Helper()
	r, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func call(t *testing.T, r *Relay, method, id, params string) (State, error) {
	t.Helper()
	table := rpc.Table{}
	r.Add(table)
	result, err := table[method](context.Background(), rpc.Call{ID: []byte(`"` + id + `"`), Method: method, Params: []byte(params)})
	state, _ := result.(State)
	return state, err
}

func TestEveryExecutionIsCounted(t *testing.T) {
	t.Parallel()
	r := open(t, t.TempDir())
	for i, id := range []string{"a", "b", "a"} {
		got, err := call(t, r, "relay.set", id, fmt.Sprintf(`{"on":%t}`, i == 1))
		if err != nil || got.Executions != int64(i+1) || got.On != (i == 1) {
			t.Errorf("execution %d: %+v, %v", i+1, got, err)
		}
	}
	if got, err := call(t, r, "relay.get", "x", `{"command_id":"a"}`); err != nil || got != (State{Executions: 3, CommandExecutions: 2}) {
		t.Errorf("relay.get says %+v, %v", got, err)
	}
	if got, err := call(t, r, "relay.get", "x", `{"command_id":"never"}`); err != nil || got.CommandExecutions != 0 || got.Executions != 3 {
		t.Errorf("relay.get of another says %+v, %v", got, err)
	}
}

func TestBadParamsAreNotExecuted(t *testing.T) {
	t.Parallel()
	r := open(t, t.TempDir())
	for _, params := range []string{`{}`, `{"on":"yes"}`, `{"on":true,"off":1}`, `[true]`} {
		_, err := call(t, r, "relay.set", "a", params)
		var refused *rpc.Error
		if !errors.As(err, &refused) || refused.Code != rpc.InvalidParams {
			t.Errorf("%s: %v", params, err)
		}
	}
	if got, _ := call(t, r, "relay.get", "x", `{}`); got.Executions != 0 {
		t.Errorf("%d executions", got.Executions)
	}
}

func TestCountsSurviveTheProcess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	r := open(t, folder)
	for range 3 {
		if _, err := call(t, r, "relay.set", "a", `{"on":true}`); err != nil {
			t.Fatal(err)
		}
	}
	// No Close: a killed process makes none. And the last line may be cut.
	log, err := os.OpenFile(filepath.Join(folder, logName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.WriteString(`{"at":"2026-01-01T00:00:00Z","comm`); err != nil {
		t.Fatal(err)
	}
	_ = log.Close()
	again := open(t, folder)
	if got, _ := call(t, again, "relay.get", "x", `{"command_id":"a"}`); got != (State{On: true, Executions: 3, CommandExecutions: 3}) {
		t.Errorf("after a restart: %+v", got)
	}
	if got, _ := call(t, again, "relay.set", "b", `{"on":false}`); got.Executions != 4 {
		t.Errorf("the next execution is number %d", got.Executions)
	}
	if got, _ := call(t, open(t, folder), "relay.get", "x", `{"command_id":"b"}`); got.Executions != 4 || got.CommandExecutions != 1 {
		t.Errorf("after a cut line and another restart: %+v", got)
	}
}

func TestConcurrentExecutionsAreOneLineEach(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	r := open(t, folder)
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			if _, err := call(t, r, "relay.set", fmt.Sprint(i), `{"on":true}`); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	content, err := os.ReadFile(filepath.Join(folder, logName))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	for i, line := range lines {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Executions != int64(i+1) || e.Method != "relay.set" {
			t.Errorf("line %d is %s", i+1, line)
		}
	}
	if len(lines) != 50 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestLogAndMemoryAreBounded(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	r := open(t, folder)
	for i := range 3 {
		r.size = maxLog + 1 // as if it were full
		if _, err := call(t, r, "relay.set", fmt.Sprint(i), `{"on":true}`); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 2 {
		t.Errorf("files are %v, %v", files, err)
	}
	if got, _ := call(t, open(t, folder), "relay.get", "x", `{}`); got.Executions != 3 {
		t.Errorf("after two moves and a restart: %+v", got)
	}
	for i := range maxCounted + 10 {
		r.count(Entry{CommandID: fmt.Sprint("n", i), Executions: int64(i)})
	}
	if len(r.counts) != maxCounted || len(r.order) != maxCounted {
		t.Errorf("%d ids are counted", len(r.counts))
	}
}

func TestExecutionThatCannotBeWrittenDownIsNotCounted(t *testing.T) {
	t.Parallel()
	r, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if _, err := call(t, r, "relay.set", "a", `{"on":true}`); err == nil || r.On() {
		t.Errorf("executed without its line: %v", err)
	}
}
