package watch_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cupline/cupline/local/services"
)

// cause is one way in which a command ends without its device's answer.
type cause struct {
	reason, executed string
	device, lane     string
	// id of the command, as its client wrote it.
	id string
	// command is filled in when it was posted.
	command string
}

// TestEveryReasonHasItsLine makes commands end in every way that can be brought about from outside, and looks for the one
// line of each with everything that names it. (What cannot be stored at all is the recorder's own test.)
func TestEveryReasonHasItsLine(t *testing.T) {
	n := newTenant(t)
	idle := "idle-" + n.name // nobody takes from it
	if _, err := site.CLI(bounded(t), "lanes", "put", idle); err != nil {
		t.Fatal(err)
	}
	n.troubles(t, idle)
	all := []*cause{
		{reason: "device_offline", executed: "no", device: absent, lane: "default", id: `"offline"`},
		{reason: "no_answer", executed: "maybe", device: "silent", lane: "default", id: `1`},
		{reason: "bad_answer", executed: "maybe", device: "babbling", lane: "default", id: `"bad"`},
		{reason: "undeliverable", executed: "no", device: "strange", lane: "default", id: `"undeliverable"`},
		{reason: "expired", executed: "no", device: "late", lane: idle, id: `"late"`},
	}
	for _, c := range all {
		c.command = n.post(t, c.device, `{"jsonrpc":"2.0","id":`+c.id+`,"method":"on"}`, "")
	}
	// The id of the first one again, for another device.
	twice := &cause{reason: "duplicate_id", executed: "no", device: lamp, lane: "default", id: all[0].id}
	said(t, all[0])
	twice.command = n.post(t, lamp, `{"jsonrpc":"2.0","id":`+twice.id+`,"method":"on"}`, "")
	for _, c := range append(all, twice) {
		said(t, c) // also before the lane is drained: what is late must expire there
	}
	said(t, n.drained(t, idle))

	// More than one device may have in hand, in one batch; they are the ones that its limit of 64 is too small for.
	items := make([]string, 100)
	for i := range items {
		items[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":"many-%d","method":"on"}`, i)
	}
	n.ask(t, http.MethodPost, "/v1/devices/silent/commands", "["+strings.Join(items, ",")+"]", nil)
	eventually(t, "some of many find the device busy", func() bool {
		for _, line := range logged(t, "dispatcher-0", "command ended without an answer") {
			if line["tenant"] == n.name && line["reason"] == "device_busy" {
				whole(t, line)
				return true
			}
		}
		return false
	})

	// Last, for it takes the dispatcher with it: whoever started the command is gone.
	lost := &cause{reason: "worker_lost", executed: "maybe", device: "endless", lane: "default", id: `"lost"`}
	lost.command = n.post(t, lost.device, `{"jsonrpc":"2.0","id":"lost","method":"on"}`, "")
	<-n.seen
	if err := site.Kill("dispatcher-0"); err != nil {
		t.Fatal(err)
	}
	if err := start(t.Context(), "dispatcher-0", services.Dispatcher, receiver.URL); err != nil {
		t.Fatal(err)
	}
	said(t, lost)
}

// troubles registers devices on which commands fail, each in its own way; endless tells of a request before it hangs.
func (n *tenant) troubles(t *testing.T, idle string) {
	t.Helper()
	for len(n.seen) > 0 {
		<-n.seen
	}
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it seen when the caller goes
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}
	servers := map[string]http.HandlerFunc{
		"silent":   hang,
		"babbling": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `"what?"`) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			n.seen <- ""
			hang(w, r)
		},
		"strange": hang, "late": hang, "drained": hang,
	}
	for name, description := range map[string]string{
		"plain": `{"lane":"default","driver":"http","methods":{"on":{"timeout":"1m"}}}`,
		"quick": `{"lane":"default","driver":"http","methods":{"on":{"timeout":"5s"}}}`,  // that long are many in hand at once
		"slow":  `{"lane":"default","driver":"http","methods":{"on":{"timeout":"10s"}}}`, // the dispatcher dies within them
		"odd":   `{"lane":"default","driver":"pigeon","methods":{"on":{}}}`,
		"short": `{"lane":"` + idle + `","driver":"http","methods":{"on":{"ttl":"1s"}}}`,
		"long":  `{"lane":"` + idle + `","driver":"http","methods":{"on":{"ttl":"1h"}}}`,
	} {
		n.ask(t, http.MethodPut, "/v1/device-types/"+name, description, nil)
	}
	for name, kind := range map[string]string{
		"silent": "quick", "babbling": "plain", "endless": "slow", "strange": "odd", "late": "short", "drained": "long",
	} {
		server := httptest.NewServer(servers[name])
		t.Cleanup(server.Close)
		n.ask(t, http.MethodPut, "/v1/devices/"+name, `{"type":"`+kind+`","address":{"url":"`+server.URL+`"}}`, nil)
	}
}

// drained has a command that waits discarded by an operator.
func (n *tenant) drained(t *testing.T, idle string) *cause {
	t.Helper()
	c := &cause{reason: "discarded", executed: "no", device: "drained", lane: idle, id: `"drained"`}
	c.command = n.post(t, c.device, `{"jsonrpc":"2.0","id":"drained","method":"on"}`, "")
	n.platformAsk(t, "/v1/lanes/"+idle+"/drain", `{"reason":"a test"}`)
	return c
}

// platformAsk posts with a key for the whole platform.
func (n *tenant) platformAsk(t *testing.T, path, body string) {
	t.Helper()
	token, err := site.CLI(bounded(t), "keys", "create", "--database", "--tenant", n.name, "--client", "ops", "--scope", "ops:platform,ops:read,ops:write")
	if err != nil {
		t.Fatal(err)
	}
	ask(t, strings.TrimSpace(string(token)), http.MethodPost, path, body, nil)
}

// said waits for the line of a command, and holds it to what the line has to say.
func said(t *testing.T, c *cause) {
	t.Helper()
	var own []map[string]any
	eventually(t, c.reason+" is said", func() bool {
		own = nil
		for _, line := range logged(t, "dispatcher-0", "command ended without an answer") {
			if line["command_id"] == c.command {
				own = append(own, line)
			}
		}
		return len(own) > 0
	})
	if len(own) != 1 {
		t.Errorf("%s: %d lines of one failure", c.reason, len(own))
	}
	whole(t, own[0])
	for field, want := range map[string]any{"client": "web", "id": c.id, "device": c.device, "lane": c.lane, "reason": c.reason, "executed": c.executed} {
		if own[0][field] != want {
			t.Errorf("%s: %s is %v, want %v", c.reason, field, own[0][field], want)
		}
	}
}

// whole holds a failure's line to everything that such a line has.
func whole(t *testing.T, line map[string]any) {
	t.Helper()
	for _, field := range []string{"tenant", "client", "id", "command_id", "device", "lane", "reason"} {
		if value, _ := line[field].(string); value == "" {
			t.Errorf("no %s in %v", field, line)
		}
	}
}
