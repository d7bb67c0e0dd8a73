package integration

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/dispatcher/internal/device/mqtttest"
	"github.com/cupline/cupline/dispatcher/internal/dispatchtest"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

func TestAnswersOfBothDrivers(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	g := p.newGadget(t, "plug", nil)
	p.put(t, "lamp", "mqtt", "")
	lamp := mqtttest.New(t, p.broker, "acme", "lamp")
	lamp.Behave(func(body []byte, answer func([]byte)) {
		r, err := jsonrpc.ParseRequest(body)
		if err != nil {
			t.Errorf("the lamp got %s: %v", body, err)
		}
		answer([]byte(`{"jsonrpc":"2.0","result":"` + r.Method + `","id":` + string(r.ID.Raw) + `}`))
	})
	p.put(t, "nothing", "noop", "")
	d := p.start(t)
	traced := func(c *envelope.Command) {
		c.Trace = envelope.Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=b"}
	}
	for driver, test := range map[string]struct{ device, words string }{
		"http": {"plug", `{"jsonrpc":"2.0","id":"\u0063-7","result":{"on":true}}`},
		"mqtt": {"lamp", `{"jsonrpc":"2.0","result":"relay.set","id":"\u0063-7"}`},
		"noop": {"nothing", `{"jsonrpc":"2.0","id":"\u0063-7","result":{}}`},
	} {
		c := p.post(t, `{"jsonrpc":"2.0","id":"\u0063-7","method":"relay.set"}`, driver, test.device, traced,
			func(c *envelope.Command) { c.Client = "app-" + driver })
		o := p.outcome(t)
		says(t, o, c, test.words)
		if o.Client != "app-"+driver || o.Origin != envelope.OriginDevice || o.Reason != "" || o.Device != test.device || o.Method != "relay.set" ||
			o.Lane != "default" || !o.Accepted.Equal(c.Accepted) || o.At.IsZero() || o.Trace != c.Trace {
			t.Errorf("outcome %+v", o)
		}
	}
	p.settled(t)
	if g.total() != 1 || lamp.Requests() != 1 {
		t.Errorf("executed %d and %d times", g.total(), lamp.Requests())
	}
	brokertest.Eventually(t, "what was told is counted", func() bool { return d.metric("cupline_in_flight") == 0 })
	if n := d.metric("cupline_outcomes_total", `lane="default"`, `origin="device"`); n != 3 {
		t.Errorf("%v outcomes are counted", n)
	}
	for _, name := range []string{
		"cupline_queue_wait_seconds_count", "cupline_execution_seconds_count", "cupline_ledger_batch_size_count",
		"cupline_broker_publishes_total",
	} {
		if d.metric(name) == 0 {
			t.Errorf("%s says nothing", name)
		}
	}
	if d.get("/healthz") != "" {
		t.Error("not healthy")
	}
}

// TestEveryReason has each way in which a command ends without an answer, told to the
// client, kept as a letter and audited, once.
func TestEveryReason(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	silent := make(chan struct{})
	p.newGadget(t, "plug", func(r *http.Request, method string) {
		switch method {
		case "silent":
			select {
			case <-r.Context().Done():
			case <-silent:
			}
		case "broken":
			panic(http.ErrAbortHandler)
		}
	})
	defer close(silent)
	p.put(t, "gone", "http", "http://127.0.0.1:1") // a port that nobody gets by chance
	html := p.newGadget(t, "html", nil)
	html.server.Config.Handler = http.NotFoundHandler()
	p.put(t, "unplugged", "mqtt", "")
	p.put(t, "homeless", "http", "")
	p.put(t, "cursed", "noop", "")
	p.exec(t, "alter table ledger add constraint picky check (device <> 'cursed')")
	p.start(t)
	short := func(c *envelope.Command) { c.Timeout = 2 * time.Second } // but long enough for the request to be sent
	for name, test := range map[string]struct {
		driver, device, method string
		change                 func(*envelope.Command)
		reason                 outcome.Reason
		executed               outcome.Executed
		tenant                 string // of the letter; acme when empty
	}{
		// The broker's own expiry is shorter than this, but the command is at the dispatcher before.
		"expired when it is taken": {"http", "plug", "m", func(c *envelope.Command) {
			c.Deadline = c.Accepted.Add(-time.Second)
		}, outcome.Expired, outcome.No, ""},
		"offline over HTTP":   {"http", "gone", "m", nil, outcome.DeviceOffline, outcome.No, ""},
		"offline over MQTT":   {"mqtt", "unplugged", "m", nil, outcome.DeviceOffline, outcome.No, ""},
		"silent":              {"http", "plug", "silent", short, outcome.NoAnswer, outcome.Maybe, ""},
		"breaks off":          {"http", "plug", "broken", nil, outcome.NoAnswer, outcome.Maybe, ""},
		"no JSON-RPC":         {"http", "html", "m", nil, outcome.BadAnswer, outcome.Maybe, ""},
		"no such driver":      {"pigeon", "plug", "m", nil, outcome.Undeliverable, outcome.No, ""},
		"no such device":      {"http", "deleted", "m", nil, outcome.Undeliverable, outcome.No, ""},
		"no address":          {"http", "homeless", "m", nil, outcome.Undeliverable, outcome.No, ""},
		"refused by Postgres": {"noop", "cursed", "m", nil, outcome.Unrecordable, outcome.Maybe, "system"},
	} {
		change := test.change
		if change == nil {
			change = func(*envelope.Command) {}
		}
		c := p.post(t, `{"jsonrpc":"2.0","id":"`+name+`","method":"`+test.method+`"}`, test.driver, test.device, change)
		o := p.outcome(t)
		says(t, o, c, `"id":"`+name+`","error":`)
		says(t, o, c, `"reason":"`+string(test.reason)+`","executed":"`+string(test.executed)+`","command_id":"`+c.ID.String()+`"`)
		if o.Origin != envelope.OriginPlatform || o.Reason != test.reason {
			t.Errorf("%s: outcome %+v", name, o)
		}
		tenant := test.tenant
		if tenant == "" {
			tenant = "acme"
		}
		letters, audited := 0, 0
		for _, l := range p.letters(t, tenant) {
			if l.CommandID == c.ID && l.Reason == string(test.reason) {
				letters++
			}
		}
		for _, e := range p.trail(t, "acme") {
			if e.CommandID == c.ID && e.Reason == string(test.reason) {
				audited++
			}
		}
		if letters != 1 || audited != 1 {
			t.Errorf("%s: %d letters, %d lines in the trail", name, letters, audited)
		}
	}
	p.settled(t)
}

// TestExpiredInTheQueue is told by the broker's own dead-lettering, with nobody at work.
func TestExpiredInTheQueue(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	g := p.newGadget(t, "plug", nil)
	c := p.post(t, dispatchtest.SetRelay, "http", "plug", func(c *envelope.Command) {
		c.Deadline = time.Now().Add(100 * time.Millisecond)
	})
	brokertest.Eventually(t, "it is dead-lettered", func() bool { return p.broker.Depth(t, deadQueue) == 1 })
	p.start(t)
	says(t, p.outcome(t), c, `"reason":"expired","executed":"no"`)
	if letters := p.letters(t, "acme"); len(letters) != 1 || g.total() != 0 {
		t.Errorf("%d letters, %d executions", len(letters), g.total())
	}
	p.settled(t)
}

func TestDeviceBusy(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	running, proceed := make(chan struct{}, 10), make(chan struct{})
	p.newGadget(t, "plug", func(*http.Request, string) {
		running <- struct{}{}
		<-proceed
	})
	p.newGadget(t, "other", nil)
	p.start(t, "CUPLINE_DEVICE_LIMIT=1")
	first := p.post(t, request(1, "m"), "http", "plug")
	<-running
	second := p.post(t, request(2, "m"), "http", "plug")
	says(t, p.outcome(t), second, `"reason":"device_busy","executed":"no"`)
	third := p.post(t, request(3, "m"), "http", "other")
	says(t, p.outcome(t), third, `"result"`)
	close(proceed)
	says(t, p.outcome(t), first, `"result"`)
	p.settled(t)
}

func TestOneWayCommands(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	g := p.newGadget(t, "plug", nil)
	p.start(t)
	good := p.post(t, `{"jsonrpc":"2.0","method":"beep"}`, "http", "plug")
	bad := p.post(t, `{"jsonrpc":"2.0","method":"beep"}`, "pigeon", "plug")
	brokertest.Eventually(t, "the bad one is recorded", func() bool { return len(p.letters(t, "acme")) == 1 })
	brokertest.Eventually(t, "the good one has run", func() bool { return g.ran(good) == 1 })
	p.settled(t)
	if l := p.letters(t, "acme")[0]; l.CommandID != bad.ID || l.Outcome != nil {
		t.Errorf("letter %+v", l)
	}
}

func TestRepeatedPosts(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	running, proceed := make(chan struct{}, 10), make(chan struct{})
	g := p.newGadget(t, "plug", func(*http.Request, string) {
		running <- struct{}{}
		<-proceed
	})
	p.newGadget(t, "other", nil)
	d := p.start(t)
	// At once: the first copy answers for both.
	first := p.post(t, dispatchtest.SetRelay, "http", "plug")
	<-running
	p.post(t, dispatchtest.SetRelay, "http", "plug")
	brokertest.Eventually(t, "the second post is let go", func() bool { return d.metric("cupline_silent_total") == 1 })
	elsewhere := p.post(t, dispatchtest.SetRelay, "http", "other")
	says(t, p.outcome(t), elsewhere, `"reason":"duplicate_id","executed":"no","command_id":"`+elsewhere.ID.String()+
		`","device":"other","first_command_id":"`+first.ID.String()+`","first_state":"open"`)
	close(proceed)
	answer := p.outcome(t)
	says(t, answer, first, `"result"`)
	// A minute later: the same outcome, under the new command id.
	p.exec(t, "update ledger set started_at = started_at - interval '1 minute', decided_at = decided_at - interval '1 minute'")
	again := p.post(t, dispatchtest.SetRelay, "http", "plug")
	told := p.outcome(t)
	says(t, told, again, string(answer.Body))
	elsewhere = p.post(t, dispatchtest.SetRelay, "http", "other")
	says(t, p.outcome(t), elsewhere, `"first_state":"decided"`)
	// Another client may use the same id.
	theirs := p.post(t, dispatchtest.SetRelay, "http", "plug", func(c *envelope.Command) { c.Client = "desk" })
	says(t, p.outcome(t), theirs, `"result"`)
	p.settled(t)
	if g.ran(first) != 1 || g.ran(theirs) != 1 || g.total() != 2 {
		t.Errorf("executed %d times", g.total())
	}
}

// TestTwoPostsAtOnceToTwoProcesses has the ledger decide between workers that take the two
// copies at the same time.
func TestTwoPostsAtOnceToTwoProcesses(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	g := p.newGadget(t, "plug", nil)
	p.start(t, "CUPLINE_CONCURRENCY=1")
	p.start(t, "CUPLINE_CONCURRENCY=1")
	const pairs = 20
	for i := range pairs {
		c := dispatchtest.Envelope(request(i, "m"), func(c *envelope.Command) { c.Driver, c.DeviceType, c.Device = "http", "http", "plug" })
		twin := dispatchtest.Envelope(request(i, "m"), func(c *envelope.Command) { c.Driver, c.DeviceType, c.Device = "http", "http", "plug" })
		p.broker.Publish(t, c.Message(time.Now()), twin.Message(time.Now()))
	}
	ids := map[string]bool{}
	for len(ids) < pairs { // one outcome for each id, or one under each of its command ids
		m := p.broker.Get(t, mailbox)
		ids[string(parse(t, m).Body)] = true
	}
	brokertest.Eventually(t, "the queue is empty", func() bool { return p.broker.Depth(t, workQueue) == 0 })
	if g.total() != pairs {
		t.Errorf("%d executions of %d ids", g.total(), pairs)
	}
}

func TestLaneWithoutLedgerNeedsNoDatabase(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	fast := topology.Lane{Name: "fast", MaxTTL: time.Minute, MaxLength: 1000, LedgerOff: true}
	if _, err := p.registry.PutLane(t.Context(), fast); err != nil {
		t.Fatal(err)
	}
	if _, err := p.registry.PutType(t.Context(), device.Type{
		Tenant: "acme", Name: "meter", Lane: "fast", Driver: "http", Methods: map[string]device.Method{"read": {Idempotent: true}},
	}); err != nil {
		t.Fatal(err)
	}
	g := p.newGadget(t, "meter-1", nil)
	p.put(t, "meter-1", "meter", g.server.URL)
	d := p.start(t, "CUPLINE_LANES=default,fast", "CUPLINE_ROLES=work")
	onFast := func(c *envelope.Command) {
		c.Lane, c.DeviceType, c.Idempotent, c.Unledgered = "fast", "meter", true, true
	}
	first := p.post(t, request(1, "read"), "http", "meter-1", onFast)
	says(t, p.outcome(t), first, `"result"`)
	d.tables.Refuse()
	second := p.post(t, request(2, "read"), "http", "meter-1", onFast)
	says(t, p.outcome(t), second, `"result"`)
	var rows int
	if err := p.pool.QueryRow(t.Context(), "select count(*) from ledger").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows in the ledger, %v", rows, err)
	}
	brokertest.Eventually(t, "readiness says what is missing", func() bool { return strings.Contains(d.get("/readyz"), `"postgres":`) })
}

// TestTopologyIsDeclaredByTheDispatcher has an empty broker.
func TestTopologyIsDeclaredByTheDispatcher(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	for _, queue := range []string{workQueue, deadQueue, mailbox} {
		p.broker.Do(t, "delete "+queue, func(ctx context.Context, s *broker.Session) error {
			return s.DeleteQueue(ctx, queue, false, false)
		})
	}
	p.put(t, "nothing", "noop", "")
	p.start(t)
	c := p.post(t, dispatchtest.SetRelay, "noop", "nothing")
	says(t, p.outcome(t), c, `"result"`)
}
