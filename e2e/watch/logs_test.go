package watch_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// logged are a service's log lines that have a message, oldest first.
func logged(t *testing.T, service, message string) (lines []map[string]any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(site.Folder(), "log", service+".log"))
	if err != nil {
		t.Fatal(err)
	}
	for all := bufio.NewScanner(bytes.NewReader(content)); all.Scan(); {
		var line map[string]any
		if json.Unmarshal(all.Bytes(), &line) == nil && line["msg"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestAFailureIsOneLineThatSaysWhatFailed for each way a command may fail: by the platform, and before it was accepted.
func TestAFailureIsOneLineThatSaysWhatFailed(t *testing.T) {
	n := newTenant(t)
	parent, trace := newTrace(5)
	command := n.post(t, absent, `{"jsonrpc":"2.0","id":"fails-1","method":"on"}`, parent)
	var own []map[string]any
	eventually(t, "the dispatcher says what became of it", func() bool {
		own = nil
		for _, line := range logged(t, "dispatcher-0", "command ended without an answer") {
			if line["command_id"] == command {
				own = append(own, line)
			}
		}
		return len(own) > 0
	})
	if len(own) != 1 {
		t.Errorf("%d lines of one failure", len(own))
	}
	for field, want := range map[string]any{
		"tenant": n.name, "client": "web", "id": `"fails-1"`, "device": absent, "lane": "default", "reason": "device_offline",
		"executed": "no", "trace_id": trace,
	} {
		if own[0][field] != want {
			t.Errorf("%s is %v, want %v", field, own[0][field], want)
		}
	}

	// A lane that is full, since nobody takes from it: refused, with one line of the API.
	lane := "full-" + n.name
	if _, err := site.CLI(bounded(t), "lanes", "put", lane, "--max-length", "1"); err != nil {
		t.Fatal(err)
	}
	n.ask(t, http.MethodPut, "/v1/device-types/waiting", `{"lane":"`+lane+`","driver":"http","methods":{"on":{}}}`, nil)
	n.ask(t, http.MethodPut, "/v1/devices/lost", `{"type":"waiting","address":{"url":"http://127.0.0.1:9/"}}`, nil)
	var code, id string
	for i := 0; code == ""; i++ {
		parent, trace = newTrace(6 + i)
		id = fmt.Sprintf(`"full-%d"`, i)
		if code = n.refused(t, "lost", `{"jsonrpc":"2.0","id":`+id+`,"method":"on"}`, parent); i == 100 {
			t.Fatal("the lane takes 100 commands, and its limit is 1")
		}
	}
	eventually(t, "api says what it refused", func() bool {
		own = nil
		for _, line := range logged(t, "api", "request not done") {
			if line["tenant"] == n.name && line["trace_id"] == trace {
				own = append(own, line)
			}
		}
		return len(own) > 0
	})
	if len(own) != 1 {
		t.Fatalf("%d lines of one refusal", len(own))
	}
	for field, want := range map[string]any{"client": "web", "device": "lost", "lane": lane, "reason": code, "id": id} {
		if own[0][field] != want {
			t.Errorf("%s is %v, want %v", field, own[0][field], want)
		}
	}
	if said := fmt.Sprint(own[0]); strings.Contains(said, n.key) {
		t.Errorf("the line has the key: %s", said)
	}
}

// refused posts a request, and returns the code with which it was not done just now; empty when it was accepted.
func (n *tenant) refused(t *testing.T, to, body, traceParent string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodPost,
		"http://"+site.Service("api").Public+"/v1/devices/"+to+"/commands", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Authorization", "Bearer "+n.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("traceparent", traceParent)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var said struct{ Code string }
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusAccepted && answer.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("status %d, code %s", answer.StatusCode, said.Code)
	}
	return said.Code
}
