package watch_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// span as the receiver got it.
type span struct {
	service, name, trace, id, parent string
	links                            []string // trace ids
	attributes                       map[string]string
	events                           []string
	failed                           bool
}

// traces is an OTLP endpoint that keeps what it gets.
type traces struct {
	*httptest.Server

	mu    sync.Mutex // guards spans
	spans []span
}

func newTraces() *traces {
	r := &traces{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		var sent collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
		if err != nil || request.URL.Path != "/v1/traces" {
			http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
			return
		}
		r.keep(&sent)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	return r
}

func (r *traces) keep(sent *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, from := range sent.GetResourceSpans() {
		service := ""
		for _, a := range from.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range from.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				kept := span{
					service: service, name: s.GetName(), trace: hex.EncodeToString(s.GetTraceId()),
					id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
					attributes: map[string]string{}, failed: s.GetStatus().GetCode() == 2,
				}
				for _, a := range s.GetAttributes() {
					kept.attributes[a.GetKey()] = a.GetValue().GetStringValue()
				}
				for _, l := range s.GetLinks() {
					kept.links = append(kept.links, hex.EncodeToString(l.GetTraceId()))
				}
				for _, e := range s.GetEvents() {
					kept.events = append(kept.events, e.GetName())
				}
				r.spans = append(r.spans, kept)
			}
		}
	}
}

// of returns the spans of a trace, by service and name.
func (r *traces) of(trace string) map[string]span {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string]span{}
	for _, s := range r.spans {
		if s.trace == trace {
			found[s.service+": "+s.name] = s
		}
	}
	return found
}

// linkedTo returns a span that links to the trace.
func (r *traces) linkedTo(trace string) (span, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		for _, l := range s.links {
			if l == trace {
				return s, true
			}
		}
	}
	return span{}, false
}

// newTrace makes a sampled traceparent, and its trace id.
func newTrace(seed int) (parent, id string) {
	id = fmt.Sprintf("%016x%016x", time.Now().UnixNano(), seed)
	return "00-" + id + "-00f067aa0ba902b7-01", id
}

func TestOneTraceFromThePostToTheAck(t *testing.T) {
	n := newTenant(t)
	arrivals := n.listen(t)
	parent, trace := newTrace(1)
	command := n.post(t, lamp, `{"jsonrpc":"2.0","id":"c-1","method":"on"}`, parent)
	take(t, arrivals, 1)
	way := []string{"api: POST commands", "dispatcher: process command", "dispatcher: call device", "pusher: push outcome"}
	eventually(t, "all of "+strings.Join(way, ", ")+" reached the receiver", func() bool {
		got := receiver.of(trace)
		for _, name := range way {
			if _, ok := got[name]; !ok {
				return false
			}
		}
		return true
	})
	got := receiver.of(trace)
	for child, above := range map[string]string{way[1]: way[0], way[2]: way[1], way[3]: way[1]} {
		if got[child].parent != got[above].id {
			t.Errorf("%s is not below %s", child, above)
		}
	}
	if got[way[0]].parent != "00f067aa0ba902b7" {
		t.Errorf("the post is below %s, not below the client's span", got[way[0]].parent)
	}
	if seen := <-n.seen; seen != "00-"+trace+"-"+got[way[2]].id+"-01" {
		t.Errorf("the device got the traceparent %q", seen)
	}
	if events := got[way[3]].events; len(events) != 1 || events[0] != "acked by the client" {
		t.Errorf("events of the push: %v", events)
	}
	for _, name := range []string{way[0], way[1], way[3]} {
		if a := got[name].attributes; a["cupline.command_id"] != command || a["cupline.tenant"] != n.name {
			t.Errorf("%s: %v", name, a)
		}
	}
	for service, histogram := range map[string]string{
		"api": "cupline_api_request_seconds_bucket", "dispatcher-0": "cupline_execution_seconds_bucket", "pusher-0": "cupline_push_end_to_end_seconds_bucket",
	} {
		found := false
		for line := range strings.Lines(scrape(t, service, true)) {
			found = found || strings.HasPrefix(line, histogram) && strings.Contains(line, `# {trace_id="`+trace+`"}`)
		}
		if !found {
			t.Errorf("no exemplar of %s leads to the trace", histogram)
		}
	}
}

// TestATraceGoesOnThroughTheMailbox: nobody listens, so the outcome is stored; then it is fetched and acked over HTTP, and over
// a socket.
func TestATraceGoesOnThroughTheMailbox(t *testing.T) {
	n := newTenant(t)
	for i, by := range []string{"api", "pusher"} { // whoever listens goes on listening
		last := by + ": ack from mailbox"
		parent, trace := newTrace(3 + i)
		command := n.post(t, lamp, `{"jsonrpc":"2.0","id":"mailed-`+by+`","method":"on"}`, parent)
		eventually(t, "the outcome is stored", func() bool { _, ok := receiver.of(trace)["pusher: store in mailbox"]; return ok })
		if by == "api" {
			var box struct {
				Outcomes []struct {
					CommandID string `json:"command_id"`
				}
			}
			n.ask(t, http.MethodGet, "/v1/mailbox", "", &box)
			if len(box.Outcomes) != 1 || box.Outcomes[0].CommandID != command {
				t.Fatalf("mailbox %+v", box)
			}
			n.ask(t, http.MethodPost, "/v1/mailbox/ack", `{"command_ids":["`+command+`"]}`, nil)
		} else {
			take(t, n.listen(t), 1)
		}
		eventually(t, last+" reached the receiver", func() bool { _, ok := receiver.of(trace)[last]; return ok })
		got := receiver.of(trace)
		fetched, acked := got[by+": fetch from mailbox"], got[last]
		if fetched.parent != got["pusher: store in mailbox"].id || fetched.attributes["cupline.command_id"] != command {
			t.Errorf("%s: fetched %+v", by, fetched)
		}
		if acked.attributes["cupline.command_id"] != command || acked.attributes["cupline.tenant"] != n.name || acked.parent == "" {
			t.Errorf("%s: acked %+v", by, acked)
		}
		if _, known := spanOf(trace, acked.parent); !known {
			t.Errorf("%s: the ack is below %s, which is no span of the trace", by, acked.parent)
		}
	}
}

// spanOf finds a span of a trace by its id.
func spanOf(trace, id string) (span, bool) {
	for _, s := range receiver.of(trace) {
		if s.id == id {
			return s, true
		}
	}
	return span{}, false
}

func TestARedriveIsATraceThatLinksToTheFirst(t *testing.T) {
	n := newTenant(t)
	arrivals := n.listen(t)
	parent, trace := newTrace(2)
	n.post(t, absent, `{"jsonrpc":"2.0","id":"c-2","method":"on"}`, parent)
	take(t, arrivals, 1)
	eventually(t, "the recorder's span is there", func() bool {
		s, ok := receiver.of(trace)["dispatcher: settle dead letter"]
		return ok && s.failed
	})
	// A redrive begins a trace, of which this process samples none.
	if err := site.End(bounded(t), "api"); err != nil {
		t.Fatal(err)
	}
	restart(t, "api", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "OTEL_TRACES_SAMPLER_ARG": "1"})
	var letters struct {
		Letters []struct {
			ID string `json:"letter_id"`
		}
	}
	n.ask(t, http.MethodGet, "/v1/dead-letters?device="+absent, "", &letters)
	if len(letters.Letters) != 1 {
		t.Fatalf("letters %+v", letters)
	}
	n.ask(t, http.MethodPost, "/v1/dead-letters/"+letters.Letters[0].ID+"/redrive", `{"reason":"test"}`, nil)
	take(t, arrivals, 1)
	eventually(t, "a span links to the first trace", func() bool { _, ok := receiver.linkedTo(trace); return ok })
	redrive, _ := receiver.linkedTo(trace)
	eventually(t, "the redrive's own trace goes on in the dispatcher", func() bool {
		_, ok := receiver.of(redrive.trace)["dispatcher: call device"]
		return ok
	})
	if redrive.trace == trace || redrive.name != "redrive" {
		t.Errorf("redrive %+v", redrive)
	}
}

// restart runs a service that was ended with other settings.
func restart(t *testing.T, name string, env map[string]string) {
	t.Helper()
	env["CUPLINE_FIGURES_EVERY"] = "1s"
	if _, err := site.Run(bounded(t), name, strings.TrimSuffix(name, "-0"), env); err != nil {
		t.Fatal(err)
	}
}

// ask calls the API as an operator.
func (n *tenant) ask(t *testing.T, method, path, body string, into any) {
	t.Helper()
	ask(t, n.key, method, path, body, into)
}

// ask asks the API with a key; an answer that is no success ends the test.
func ask(t *testing.T, key, method, path, body string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), method, "http://"+site.Service("api").Public+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s, %v", method, path, answer.Status, said, err)
	}
	if into != nil {
		if err := json.Unmarshal(said, into); err != nil {
			t.Fatalf("%s: %v", said, err)
		}
	}
}
