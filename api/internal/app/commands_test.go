package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
)

type accepted struct {
	ID        json.RawMessage `json:"id"`
	CommandID uuid.UUID       `json:"command_id"`
	ExpiresAt time.Time       `json:"expires_at"`
}

const set = `{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`

// One world for what one process answers while all is well; each test uses a lane of its own.
func TestCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, test := range map[string]func(*testing.T, *world){
		"AcceptedIsOnTheWorkQueueAsItCame": acceptedIsOnTheWorkQueue,
		"OneWay":                           oneWay,
		"Batch":                            batch,
		"BadInput":                         badInput,
		"TimeToLive":                       timeToLive,
		"ExpiredIsALetter":                 expiredIsALetter,
		"UnknownDevice":                    unknownDevice,
		"LaneWithoutLedger":                laneWithoutLedger,
		"QueueFull":                        queueFull,
		"NewLaneIsDeclared":                newLane,
		"PolicyChangesAtOnce":              policyChanges,
		"Keys":                             revokedKey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := *w
			here.t = t
			test(t, &here)
		})
	}
}

func acceptedIsOnTheWorkQueue(t *testing.T, w *world) {
	d := w.laneOf("plain", nil)
	body := " {\t\"params\" : {\"on\":true} , \"id\" : \"c<\\u0034>2\", \"method\":\"relay.set\",\"jsonrpc\":\"2.0\", \"extra\":[1.0e2]}\r\n"
	before := time.Now().Add(-10 * time.Second) // api's clock is right to within half of a round trip to the database
	got := w.post(d, body, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate", "a=b")
	w.expect(got, 202, "")
	var a accepted
	w.into(got, &a)
	if !strings.Contains(got.body, `"id":"c<\u0034>2"`) || a.CommandID.Version() != 7 {
		t.Errorf("told %v", got)
	}
	m := w.broker.Get(t, topology.WorkQueue("plain"))
	c, err := envelope.ParseCommand(&m)
	if err != nil {
		t.Fatal(err)
	}
	want := envelope.Command{
		Lane: "plain", Tenant: "acme", Device: d, Client: "shop", ID: a.CommandID, DeviceType: "plain", Driver: "mqtt",
		Timeout: 5 * time.Second, Accepted: c.Accepted, Deadline: a.ExpiresAt,
		Trace: envelope.Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=b"},
		Body:  []byte(strings.TrimSpace(body)),
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("on the queue (-want +got):\n%s", diff)
	}
	if c.Accepted.Before(before) || c.Accepted.After(time.Now().Add(10*time.Second)) || c.Deadline.Sub(c.Accepted) != 30*time.Second {
		t.Errorf("accepted %s, deadline %s", c.Accepted, c.Deadline)
	}
	if m.Transient || m.Expiration <= 0 || m.Expiration > 30*time.Second || m.ContentType != "application/json" {
		t.Errorf("properties %+v", m)
	}
}

func oneWay(t *testing.T, w *world) {
	d := w.laneOf("oneway", nil)
	got := w.post(d, `{"jsonrpc":"2.0","method":"host.info"}`)
	w.expect(got, 202, "")
	if !strings.HasPrefix(got.body, `{"id":null,`) {
		t.Errorf("told %v", got)
	}
	m := w.broker.Get(t, topology.WorkQueue("oneway"))
	if c, err := envelope.ParseCommand(&m); err != nil || !c.Idempotent || c.Timeout != device.DefaultTimeout {
		t.Errorf("%+v %v", c, err)
	}
}

func batch(t *testing.T, w *world) {
	d := w.laneOf("batch", nil)
	var items []string
	for i := range 100 {
		items = append(items, fmt.Sprintf(`{"jsonrpc":"2.0", "id":%d,"method":"host.info"}`, i))
	}
	got := w.post(d, "[ "+strings.Join(items, " ,\n")+" ]")
	w.expect(got, 202, "")
	var told struct {
		Items []struct {
			accepted
			State string
		}
	}
	w.into(got, &told)
	if len(told.Items) != 100 {
		t.Fatalf("told %v", got)
	}
	byID := map[string]string{}
	for i, item := range told.Items {
		if item.State != "accepted" || string(item.ID) != fmt.Sprint(i) {
			t.Errorf("item %d: %+v", i, item)
		}
		byID[item.CommandID.String()] = items[i]
	}
	for _, m := range w.broker.GetSome(t, topology.WorkQueue("batch"), 100) {
		if byID[m.ID] != string(m.Body) {
			t.Errorf("%s carries %s", m.ID, m.Body)
		}
		delete(byID, m.ID)
	}
	if len(byID) != 0 {
		t.Errorf("%d are missing", len(byID))
	}
	one := w.post(d, "["+set+"]")
	w.expect(one, 202, "")
	if !strings.HasPrefix(one.body, `{"items":[{"state":"accepted","id":"c-42"`) {
		t.Errorf("a batch of one is answered as a batch: %v", one)
	}
}

func badInput(t *testing.T, w *world) {
	d := w.laneOf("bad", nil)
	good := `{"jsonrpc":"2.0","id":1,"method":"host.info"}`
	for _, c := range []struct {
		name, body string
		status     int
		code, told string
	}{
		{"malformed", `{"jsonrpc":"2.0","id":"c-42","method":}`, 400, "malformed", `"detail":"byte 38: '}' where a value should be","id":"c-42","offset":38}`},
		{"empty", ` `, 400, "malformed", `"offset":1`},
		{"not UTF-8", "{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", 400, "malformed", `"offset":27`},
		{"id null", `{"jsonrpc":"2.0","id":null,"method":"m"}`, 400, "invalid_request", `"field":"id"`},
		{"id empty", `{"jsonrpc":"2.0","id":"","method":"m"}`, 400, "invalid_request", `"field":"id"`},
		{"id fractional", `{"jsonrpc":"2.0","id":1.5,"method":"m"}`, 400, "invalid_request", `"field":"id"`},
		{"id too long", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 129) + `","method":"m"}`, 400, "invalid_request", "at most 128"},
		{"id too large", `{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}`, 400, "invalid_request", "2^53"},
		{"id an object", `{"jsonrpc":"2.0","id":{},"method":"m"}`, 400, "invalid_request", `"field":"id"`},
		{"id twice", `{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}`, 400, "invalid_request", `"field":"id"`},
		{"no version", `{"id":7,"method":"m"}`, 400, "invalid_request", `"id":7,"field":"jsonrpc"`},
		{"params a number", `{"jsonrpc":"2.0","id":1,"method":"m","params":7}`, 400, "invalid_request", `"field":"params"`},
		{"a string", `"hello"`, 400, "invalid_request", "must be a JSON object"},
		{"too deep", `{"jsonrpc":"2.0","method":"m","params":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + "}", 400, "malformed", "deeper than 64"},
		{"batch of none", `[]`, 400, "invalid_request", "at least one"},
		{"batch of 101", "[" + strings.Repeat(good+",", 100) + good + "]", 400, "invalid_request", "at most 100"},
		{"one bad item", "[" + good + `,{"jsonrpc":"2.0","id":"x","method":""}]`, 400, "invalid_request", `"id":"x","field":"method","index":1`},
		{"one item whose params fail", "[" + good + `,{"jsonrpc":"2.0","id":"x","method":"relay.set","params":{"on":1}}]`, 422, "invalid_params", `"id":"x","field":"/on","index":1`},
		{"params fail", `{"jsonrpc":"2.0","id":"x","method":"relay.set","params":{"on":"yes"}}`, 422, "invalid_params", `got string, want boolean`},
		{"params are missing", `{"jsonrpc":"2.0","id":"x","method":"relay.set"}`, 422, "invalid_params", `missing property 'on'`},
		{"65 KiB", `{"jsonrpc":"2.0","id":1,"method":"m","params":["` + strings.Repeat("x", 65<<10) + `"]}`, 413, "too_large", "65536"},
	} {
		got := w.post(d, c.body)
		w.expect(got, c.status, c.code)
		if !strings.Contains(got.body, c.told) || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v, want %s", c.name, got, c.told)
		}
	}
	w.expect(w.post(d, good, "Content-Type", "text/plain"), 415, "unsupported_media_type")
	w.expect(w.post(d, good, "Cupline-TTL", "-1s"), 400, "invalid_parameter")
	w.expect(w.do("GET", "/v1/devices/"+d+"/commands", ""), 405, "method_not_allowed")
	w.broker.Empty(t, topology.WorkQueue("bad"))
}

func timeToLive(t *testing.T, w *world) {
	d := w.laneOf("brief", func(l *topology.Lane) { l.MaxTTL = 20 * time.Second })
	for asked, want := range map[string]time.Duration{"": 20 * time.Second, "15s": 15 * time.Second, "1h": 20 * time.Second} {
		var header []string
		if asked != "" {
			header = []string{"Cupline-TTL", asked}
		}
		w.expect(w.post(d, set, header...), 202, "")
		m := w.broker.Get(t, topology.WorkQueue("brief"))
		if c, err := envelope.ParseCommand(&m); err != nil || c.Deadline.Sub(c.Accepted) != want {
			t.Errorf("asked %q: %s, %v", asked, c.Deadline.Sub(c.Accepted), err)
		}
	}
}

// What the broker makes of a command that expires reads as the golden file in schema does.
func expiredIsALetter(t *testing.T, w *world) {
	d := w.laneOf("dying", nil)
	got := w.post(d, set, "Cupline-TTL", "1ms")
	w.expect(got, 202, "")
	var a accepted
	w.into(got, &a)
	m := w.broker.Get(t, topology.DeadQueue)
	l := envelope.ParseLetter(&m)
	if l.Malformed != nil || l.Cause() != outcome.Expired || l.Command.ID != a.CommandID || string(l.Command.Body) != set || m.Key != "dying.acme.dying" {
		t.Errorf("letter %+v", l)
	}
	if len(l.Deaths) != 1 || time.Since(l.Deaths[0].At).Abs() > time.Minute {
		t.Fatalf("deaths %+v", l.Deaths)
	}
	l.Deaths[0].At = time.Time{}
	want := envelope.Death{Queue: "cupline.work.dying", Exchange: "cupline.commands", Keys: []string{m.Key}, Reason: "expired", Count: 1}
	if diff := cmp.Diff(want, l.Deaths[0]); diff != "" {
		t.Errorf("death (-want +got):\n%s", diff)
	}
}

// What a tenant may not see does not exist for it: the same answer, byte for byte.
func unknownDevice(t *testing.T, w *world) {
	none := w.post("nothing", set)
	w.expect(none, 404, "unknown_device")
	for _, id := range []string{"theirs", "a.b", "%00", "..%2Fx"} {
		if got := w.post(id, set); got.body != none.body || got.status != 404 {
			t.Errorf("%s: %v, want %v", id, got, none)
		}
	}
}

func laneWithoutLedger(t *testing.T, w *world) {
	d := w.laneOf("loose", func(l *topology.Lane) { l.LedgerOff = true })
	w.expect(w.post(d, set), 422, "not_idempotent")
	w.expect(w.post(d, `{"jsonrpc":"2.0","id":1,"method":"never.described"}`), 422, "not_idempotent")
	w.expect(w.post(d, `{"jsonrpc":"2.0","id":1,"method":"host.info"}`), 202, "")
	m := w.broker.Get(t, topology.WorkQueue("loose"))
	if c, err := envelope.ParseCommand(&m); err != nil || !c.Unledgered {
		t.Errorf("%+v %v", c, err)
	}
	w.broker.Empty(t, topology.WorkQueue("loose"))
}

// In a world of its own: whenever a lane changes all queues are declared anew.
func TestLaneWithoutQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.laneOf("gone", nil)
	w.deleteQueue("gone")
	got := w.post(d, set)
	w.expect(got, 503, "lane_unavailable")
	if !strings.Contains(got.body, `"id":"c-42"`) || got.header.Get("Retry-After") == "" {
		t.Errorf("%v %v", got, got.header)
	}
	both := w.post(d, "["+set+","+set+"]")
	w.expect(both, 503, "lane_unavailable")
	if strings.Count(both.body, `"state":"refused"`) != 2 {
		t.Errorf("%v", both)
	}
}

func queueFull(t *testing.T, w *world) {
	d := w.laneOf("narrow", func(l *topology.Lane) { l.MaxLength = 2 })
	taken := 0
	var got answer
	// A quorum queue notices a little late that it is full.
	brokertest.Eventually(t, "the queue is full", func() bool {
		got = w.post(d, set)
		taken++
		return got.status != 202
	})
	w.expect(got, 503, "queue_full")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if n := len(w.broker.GetSome(t, topology.WorkQueue("narrow"), taken-1)); n != taken-1 {
		t.Errorf("%d of %d accepted are there", n, taken-1)
	}
	w.broker.Empty(t, topology.WorkQueue("narrow"))
}

// A lane made while the process runs has its queue before any dispatcher was there.
func newLane(t *testing.T, w *world) {
	d := w.laneOf("fresh", nil)
	w.expect(w.post(d, set), 202, "")
	if m := w.broker.Get(t, topology.WorkQueue("fresh")); string(m.Body) != set {
		t.Errorf("%s", m.Body)
	}
	names := []string{topology.DeadQueue, topology.WorkQueue("default")}
	if slices.ContainsFunc(names, func(name string) bool { return !w.broker.QueueExists(t, name) }) {
		t.Errorf("not all of %v are declared", names)
	}
}

// A type that is put anew counts for the next command, its schema too.
func policyChanges(t *testing.T, w *world) {
	d := w.laneOf("policy", nil)
	w.expect(w.post(d, set), 202, "")
	kind := `{"lane":"policy","driver":"mqtt","methods":{"relay.set":{"timeout":"7s","params":{"properties":{"on":{"type":"string"}}}}}}`
	w.expect(w.do("PUT", "/v1/device-types/policy", kind), 200, "")
	brokertest.Eventually(t, "the new schema counts", func() bool { return w.post(d, set).status == 422 })
	w.expect(w.post(d, strings.Replace(set, "true", `"yes"`, 1)), 202, "")
	messages := w.broker.GetSome(t, topology.WorkQueue("policy"), w.broker.Depth(t, topology.WorkQueue("policy")))
	if c, err := envelope.ParseCommand(&messages[len(messages)-1]); err != nil || c.Timeout != 7*time.Second {
		t.Errorf("%+v %v", c, err)
	}
}

func revokedKey(t *testing.T, w *world) {
	d := w.laneOf("keys", nil)
	got := w.do("POST", "/v1/keys", `{"client":"till","scopes":["commands:send"]}`)
	w.expect(got, 201, "")
	var made struct{ Key, Token string }
	w.into(got, &made)
	bearer := []string{"Authorization", "Bearer " + made.Token}
	w.expect(w.post(d, set, bearer...), 202, "")
	m := w.broker.Get(t, topology.WorkQueue("keys"))
	if c, err := envelope.ParseCommand(&m); err != nil || c.Client != "till" {
		t.Errorf("%+v %v", c, err)
	}
	w.expect(w.do("GET", "/v1/devices", "", bearer...), 403, "forbidden")
	w.expect(w.do("DELETE", "/v1/keys/"+made.Key, ""), 204, "")
	brokertest.Eventually(t, "the key is refused", func() bool { return w.post(d, `{}`, bearer...).status == 401 })
	refused := w.post(d, set, bearer...)
	w.expect(refused, 401, "unauthorized")
	if !strings.Contains(refused.body, "revoked") || !strings.HasPrefix(refused.header.Get("WWW-Authenticate"), "Bearer ") {
		t.Errorf("%v %v", refused, refused.header)
	}
	w.broker.Empty(t, topology.WorkQueue("keys"))

	expired, _, err := w.keys.CreateKey(context.Background(), identity.NewKey{
		Tenant: "acme", Client: "till", Scopes: []string{"commands:send"}, Expires: time.Now().Add(-time.Minute),
	})
	w.check(err)
	if got := w.post(d, set, "Authorization", "Bearer "+expired); got.status != 401 || !strings.Contains(got.body, "expired") {
		t.Errorf("%v", got)
	}
}
