package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/api/internal/problem"
	"github.com/cupline/cupline/schema/envelope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func post(device, body string) Post {
	return Post{Tenant: "acme", Client: "shop", Device: device, Body: []byte(body)}
}

const (
	set  = `{"jsonrpc":"2.0","id":"c-42","method":"relay.set","params":{"on":true}}`
	info = `{"jsonrpc":"2.0","id":7,"method":"host.info"}`
)

func TestAcceptedMeansPublishedAsItCame(t *testing.T) {
	t.Parallel()
	n := newNeighbours()
	p := post("lamp-1", "\n "+set+" ")
	p.Trace = envelope.Trace{Parent: "00-x", State: "y=z"}
	results, batch, err := n.intake().Accept(context.Background(), p)
	if err != nil || batch || len(results) != 1 || results[0].Problem != nil {
		t.Fatalf("%+v %v %v", results, batch, err)
	}
	accepted := time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC) // in whole milliseconds
	r := results[0]
	if string(r.ID) != `"c-42"` || r.CommandID.Version() != 7 || !r.Expires.Equal(accepted.Add(30*time.Second)) {
		t.Errorf("told %+v", r)
	}
	c, err := envelope.ParseCommand(&n.published[0])
	if err != nil {
		t.Fatal(err)
	}
	want := envelope.Command{
		Lane: "default", Tenant: "acme", Device: "lamp-1", Client: "shop", ID: r.CommandID, DeviceType: "lamp", Driver: "mqtt",
		Timeout: 5 * time.Second, Accepted: accepted, Deadline: accepted.Add(30 * time.Second), Trace: p.Trace, Body: []byte(set),
	}
	if fmt.Sprint(c) != fmt.Sprint(want) || !n.published[0].Mandatory || n.published[0].Transient {
		t.Errorf("published\n%+v\nwant\n%+v", c, want)
	}
	if !slices.Equal(n.accepted, []string{"acme default"}) || len(n.refused) != 0 {
		t.Errorf("counted %v %v", n.accepted, n.refused)
	}
}

func TestTimeToLive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		device, method string
		asked, want    time.Duration
	}{
		{"lamp-1", "relay.set", 0, 30 * time.Second},
		{"lamp-1", "host.info", 0, time.Minute},
		{"lamp-1", "never.described", 0, time.Minute},
		{"lamp-1", "relay.set", 5 * time.Minute, 5 * time.Minute},
		{"lamp-1", "relay.set", 48 * time.Hour, time.Hour},
		{"lamp-1", "relay.set", time.Millisecond, time.Millisecond},
		{"quick", "host.info", 0, 10 * time.Second},
	} {
		n := newNeighbours()
		p := post(c.device, `{"jsonrpc":"2.0","id":1,"method":"`+c.method+`","params":{"on":true}}`)
		p.TTL = c.asked
		results, _, err := n.intake().Accept(context.Background(), p)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		m := n.published[0]
		if got := results[0].Expires.Sub(n.now.Truncate(time.Millisecond)); got != c.want || m.Expiration != c.want {
			t.Errorf("%+v: expires after %s, expiration %s", c, got, m.Expiration)
		}
	}
}

func TestParseTTL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 0, "30s": 30 * time.Second, "1ms": time.Millisecond, "1h30m": 90 * time.Minute} {
		if got, err := ParseTTL(text); err != nil || got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "0s", "-1s", "30", "soon", "999us", " 30s"} {
		if got, err := ParseTTL(text); err == nil || asProblem(err).Code != problem.InvalidParameter {
			t.Errorf("%q was taken as %s, %v", text, got, err)
		}
	}
}

func TestRefusedBeforeAnythingIsPublished(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, device, body string
		spoil              func(*neighbours)
		code               problem.Code
		told               string // within detail
		field, id          string
		index, offset      int
	}{
		{"not JSON", "lamp-1", `{"jsonrpc":"2.0",}`, nil, problem.Malformed, "byte 17", "", "", -1, 17},
		{"empty", "lamp-1", ``, nil, problem.Malformed, "byte 0", "", "", -1, 0},
		{"null id", "lamp-1", `{"jsonrpc":"2.0","id":null,"method":"m"}`, nil, problem.InvalidRequest, "must not be null", "id", "", -1, -1},
		{"no method", "lamp-1", `{"jsonrpc":"2.0","id":"x"}`, nil, problem.InvalidRequest, "is missing", "method", `"x"`, -1, -1},
		{"empty batch", "lamp-1", `[]`, nil, problem.InvalidRequest, "at least one", "batch", "", -1, -1},
		{"101", "lamp-1", "[" + strings.Repeat(info+",", 100) + info + "]", nil, problem.InvalidRequest, "at most 100", "batch", "", -1, -1},
		{"bad item", "lamp-1", "[" + info + `,{"jsonrpc":"2.0","id":2,"method":7}]`, nil, problem.InvalidRequest, "must be a string", "method", "2", 1, -1},
		{"batch not JSON", "lamp-1", "[" + info + `,{]`, nil, problem.Malformed, "byte 48", "", "", -1, 48},
		{"unknown device", "lamp-9", set, nil, problem.UnknownDevice, "", "", `"c-42"`, -1, -1},
		{"another tenant's name", "a.b", set, nil, problem.UnknownDevice, "", "", `"c-42"`, -1, -1},
		{"mailbox full", "lamp-1", set, func(n *neighbours) { n.full = true }, problem.MailboxFull, "ack", "", `"c-42"`, -1, -1},
		{"no database", "lamp-1", set, func(n *neighbours) { n.resolve = fmt.Errorf("x: %w", ErrRegistryUnavailable) }, problem.DatabaseUnavailable, "", "", `"c-42"`, -1, -1},
		{"a fault", "lamp-1", set, func(n *neighbours) { n.resolve = errLink }, problem.Internal, "", "", `"c-42"`, -1, -1},
		{"params", "lamp-1", `{"jsonrpc":"2.0","id":"c","method":"relay.set","params":{"on":"yes"}}`, nil, problem.InvalidParams, "got string, want boolean", "/on", `"c"`, -1, -1},
		{"no params", "lamp-1", `{"jsonrpc":"2.0","id":"c","method":"relay.set"}`, nil, problem.InvalidParams, "on", "", `"c"`, -1, -1},
		{"params of an item", "lamp-1", "[" + set + `,{"jsonrpc":"2.0","id":"d","method":"relay.set","params":{}}]`, nil, problem.InvalidParams, "on", "", `"d"`, 1, -1},
		{"params of the only item", "lamp-1", `[{"jsonrpc":"2.0","id":"d","method":"relay.set","params":{}}]`, nil, problem.InvalidParams, "on", "", `"d"`, 0, -1},
		{"not idempotent", "quick", set, nil, problem.NotIdempotent, "is not idempotent", "method", `"c-42"`, -1, -1},
		{"not described", "quick", `{"jsonrpc":"2.0","id":1,"method":"m"}`, nil, problem.NotIdempotent, "not described", "method", "1", -1, -1},
		{"lane of others", "vip", set, nil, problem.LaneUnavailable, "may not be used", "", `"c-42"`, -1, -1},
	} {
		n := newNeighbours()
		if c.spoil != nil {
			c.spoil(n)
		}
		results, _, err := n.intake().Accept(context.Background(), post(c.device, c.body))
		var got *problem.Problem
		if !errors.As(err, &got) || results != nil {
			t.Errorf("%s: %v %v", c.name, results, err)
			continue
		}
		if got.Code != c.code || !strings.Contains(got.Detail, c.told) || got.Field != c.field || string(got.ID) != c.id ||
			got.Index != c.index || got.Offset != c.offset {
			t.Errorf("%s: got %+v", c.name, got)
		}
		if len(n.published) != 0 || !slices.Equal(n.refused, []problem.Code{c.code}) {
			t.Errorf("%s: published %d, counted %v", c.name, len(n.published), n.refused)
		}
	}
}

func TestWhatBecomesOfAPublish(t *testing.T) {
	t.Parallel()
	for err, code := range map[error]problem.Code{
		&PublishError{InDoubt, errLink}:                       problem.InDoubt,
		&PublishError{Unroutable, errLink}:                    problem.LaneUnavailable,
		&PublishError{QueueFull, errLink}:                     problem.QueueFull,
		&PublishError{Unavailable, errLink}:                   problem.BrokerUnavailable,
		&PublishError{Blocked, errLink}:                       problem.BrokerBlocked,
		&PublishError{Unsendable, errLink}:                    problem.Internal,
		fmt.Errorf("wrapped: %w", &PublishError{0, errLink}):  problem.InDoubt,
		errors.New("an error that nobody has thought of yet"): problem.InDoubt,
	} {
		n := newNeighbours()
		n.fate = func(string) error { return err }
		results, _, refused := n.intake().Accept(context.Background(), post("lamp-1", set))
		if refused != nil || len(results) != 1 || results[0].Problem == nil {
			t.Errorf("%v: %+v %v", err, results, refused)
			continue
		}
		got := results[0].Problem
		if got.Code != code || string(got.ID) != `"c-42"` || got.CommandID != results[0].CommandID || !errors.Is(got, err) {
			t.Errorf("%v: got %+v, want %s", err, got, code)
		}
		if !slices.Equal(n.refused, []problem.Code{code}) || len(n.accepted) != 0 {
			t.Errorf("%v: counted %v %v", err, n.accepted, n.refused)
		}
	}
}

func TestBatchTellsOfEachItem(t *testing.T) {
	t.Parallel()
	n := newNeighbours()
	n.fate = func(body string) error {
		switch {
		case strings.Contains(body, `"id":2`):
			return &PublishError{QueueFull, errLink}
		case strings.Contains(body, `"id":3`):
			return &PublishError{InDoubt, errLink}
		}
		return nil
	}
	var items []string
	for i := range 5 {
		items = append(items, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"host.info"}`, i))
	}
	results, batch, err := n.intake().Accept(context.Background(), post("lamp-1", "["+strings.Join(items, ",")+"]"))
	if err != nil || !batch || len(results) != 5 {
		t.Fatal(results, batch, err)
	}
	seen := map[string]bool{}
	for i, r := range results {
		var code problem.Code
		if r.Problem != nil {
			code = r.Problem.Code
		}
		want := map[int]problem.Code{2: problem.QueueFull, 3: problem.InDoubt}[i]
		if string(r.ID) != fmt.Sprint(i) || code != want || seen[r.CommandID.String()] {
			t.Errorf("item %d: %+v", i, r)
		}
		seen[r.CommandID.String()] = true
	}
	for _, m := range n.published {
		if !slices.Contains(items, string(m.Body)) {
			t.Errorf("published %s", m.Body)
		}
	}
}

// A confirm is awaited for the stated time and no longer, also when the client has gone.
func TestPublishIsBounded(t *testing.T) {
	t.Parallel()
	n := newNeighbours()
	in := New(Config{Registry: n, Publisher: never{}, Quota: n, Clock: n, Observer: n, PublishTimeout: 20 * time.Millisecond})
	gone, hangUp := context.WithCancel(context.Background())
	hangUp()
	began := time.Now()
	results, _, err := in.Accept(gone, post("lamp-1", set))
	if err != nil || results[0].Problem.Code != problem.InDoubt || !errors.Is(results[0].Problem, context.DeadlineExceeded) {
		t.Errorf("%+v %v", results, err)
	}
	if took := time.Since(began); took < 20*time.Millisecond || took > 30*time.Second { // for ever otherwise
		t.Errorf("took %s", took)
	}
}
