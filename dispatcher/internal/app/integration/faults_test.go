package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/dispatcher/internal/device/mqtttest"
	"github.com/cupline/cupline/dispatcher/internal/dispatchtest"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
)

// outcomes takes n outcomes and returns their bodies by command id. Copies of one outcome
// are fine, as long as they say the same.
func (p *platform) outcomes(t *testing.T, n int) map[uuid.UUID]string {
	t.Helper()
	told := map[uuid.UUID]string{}
	for len(told) < n {
		o := p.outcome(t)
		if before, there := told[o.CommandID]; there && before != string(o.Body) {
			t.Errorf("%s was told %s, and then %s", o.CommandID, before, o.Body)
		}
		told[o.CommandID] = string(o.Body)
	}
	return told
}

// TestLinkCutWhile256CallsRun cuts both links of the dispatcher while every slot is busy,
// half of the calls over HTTP and half over MQTT.
func TestLinkCutWhile256CallsRun(t *testing.T) {
	t.Parallel()
	const n = 256
	p := newPlatform(t)
	running, proceed := make(chan struct{}, 2*n), make(chan struct{})
	g := p.newGadget(t, "plug", func(*http.Request, string) {
		running <- struct{}{}
		<-proceed
	})
	p.put(t, "lamp", "mqtt", "")
	lamp := mqtttest.New(t, p.broker, "acme", "lamp")
	lamp.Behave(func(body []byte, answer func([]byte)) {
		running <- struct{}{}
		<-proceed
		if r, err := jsonrpc.ParseRequest(body); err == nil {
			answer([]byte(`{"jsonrpc":"2.0","id":` + string(r.ID.Raw) + `,"result":"lit"}`))
		}
	})
	d := p.start(t)
	commands := make([]envelope.Command, n)
	for i := range commands {
		driver, name := "http", "plug"
		if i%2 == 1 {
			driver, name = "mqtt", "lamp"
		}
		commands[i] = p.post(t, request(i, "m"), driver, name, func(c *envelope.Command) { c.Timeout = time.Minute })
	}
	for range n {
		<-running
	}
	d.broker.Cut()
	brokertest.Eventually(t, "every command came again, and was adopted", func() bool { return d.metric("cupline_adopted_total") >= n })
	brokertest.Eventually(t, "the links are back", func() bool { return d.get("/readyz") == "" })
	close(proceed)
	told := p.outcomes(t, n)
	for _, c := range commands {
		if !strings.Contains(told[c.ID], `"result"`) {
			t.Errorf("%s: told %s", c.ID, told[c.ID])
		}
		if c.Driver == "http" && g.ran(c) != 1 {
			t.Errorf("%s ran %d times", c.ID, g.ran(c))
		}
	}
	if g.total() != n/2 || lamp.Requests() != n/2 {
		t.Errorf("%d and %d executions", g.total(), lamp.Requests())
	}
	brokertest.Eventually(t, "everything is acknowledged", func() bool { return d.metric("cupline_in_flight") == 0 })
	p.settled(t)
	if letters := p.letters(t, "acme"); len(letters) != 0 {
		t.Errorf("%d letters", len(letters))
	}
}

// TestWorkerKilledWhileItRunsACommand has two processes, and kills the one that has it.
func TestWorkerKilledWhileItRunsACommand(t *testing.T) {
	t.Parallel()
	for _, idempotent := range []bool{false, true} {
		t.Run(fmt.Sprintf("idempotent %t", idempotent), func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			running := make(chan struct{}, 10)
			g := p.newGadget(t, "plug", func(r *http.Request, _ string) {
				running <- struct{}{}
				if len(running) == 1 {
					<-r.Context().Done() // the first one is never answered
				}
			})
			first, second := p.start(t, "CUPLINE_ROLES=work"), p.start(t)
			// The other one is there, and cannot take it yet: to start takes time, in which the call would end by its timeout.
			second.broker.Refuse()
			brokertest.Eventually(t, "the first is alone", func() bool { return p.broker.Consumers(t, workQueue) == 1 })
			c := p.post(t, dispatchtest.SetRelay, "http", "plug", func(c *envelope.Command) {
				c.Idempotent, c.Timeout = idempotent, 10*time.Second
			})
			brokertest.Eventually(t, "it runs", func() bool { return len(running) == 1 })
			second.broker.Heal()
			first.kill(t)
			o := p.outcome(t)
			if idempotent {
				says(t, o, c, `"result"`)
				if g.ran(c) != 2 {
					t.Errorf("%d executions, want 2", g.ran(c))
				}
			} else {
				says(t, o, c, `"reason":"worker_lost","executed":"maybe"`)
				if g.ran(c) != 1 {
					t.Errorf("%d executions, want 1", g.ran(c))
				}
			}
			if n := second.metric("cupline_ledger_conflicts_total", `kind="hold"`); n != 1 {
				t.Errorf("it was held %v times", n)
			}
			p.settled(t)
		})
	}
}

func TestGarbageEverywhereIsParkedAndTheRestFlowsOn(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	p.put(t, "nothing", "noop", "")
	d := p.start(t)
	odd := map[string]any{"x": []any{[]byte{0, 0xff}, map[string]any{"y": int8(-1)}}, "CC": []any{"x.y.z"}}
	for _, m := range []message.Message{
		{Key: workQueue, Body: []byte{0xff, 0, 1}},
		{Key: workQueue, Body: []byte("x"), Headers: odd, ReplyTo: "not.a.client.at.all", ID: "no-uuid", Type: "command"},
		{Exchange: "cupline.commands", Key: "default.acme.lamp", Body: []byte(`{"jsonrpc":"2.0","id":1,"method":"m"}`)},
		{Key: deadQueue, Body: []byte{0xff, 0, 2}, Headers: odd},
		{Exchange: "cupline.dead", Key: "what.ever.it.is", Body: nil},
	} {
		p.broker.Publish(t, m)
	}
	c := p.post(t, dispatchtest.SetRelay, "noop", "nothing")
	says(t, p.outcome(t), c, `"result"`)
	brokertest.Eventually(t, "all of it is recorded", func() bool {
		return len(p.letters(t, "system"))+len(p.letters(t, "acme")) == 5
	})
	if acme := p.letters(t, "acme"); len(acme) != 1 || acme[0].Device != "lamp" {
		t.Errorf("letters of acme: %+v", acme)
	}
	for _, l := range p.letters(t, "system") {
		if l.Reason != string(outcome.Undeliverable) {
			t.Errorf("letter %+v", l)
		}
	}
	brokertest.Eventually(t, "all of it is counted", func() bool {
		return d.metric("cupline_recorder_settled_total", `reason="undeliverable"`) == 5
	})
	p.settled(t)
}

// TestMalformedCommandOfAKnownClientIsTold: what can be read is enough to say so.
func TestMalformedCommandOfAKnownClientIsTold(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	p.start(t)
	c := dispatchtest.Envelope(dispatchtest.SetRelay)
	m := c.Message(time.Now())
	m.Headers = map[string]any{}
	p.broker.Publish(t, m)
	says(t, p.outcome(t), c, `"reason":"undeliverable","executed":"no"`)
	p.settled(t)
}

// TestPostgresAwayAndBack has a call running and commands waiting when it goes.
func TestPostgresAwayAndBack(t *testing.T) {
	t.Parallel()
	const n = 20
	p := newPlatform(t)
	running, proceed := make(chan struct{}, 2*n), make(chan struct{})
	g := p.newGadget(t, "plug", func(*http.Request, string) {
		running <- struct{}{}
		<-proceed
	})
	d := p.start(t)
	first := p.post(t, request(0, "m"), "http", "plug")
	<-running
	d.tables.Refuse()
	brokertest.Eventually(t, "readiness says what is missing", func() bool { return strings.Contains(d.get("/readyz"), `"postgres":`) })
	close(proceed)
	for i := 1; i < n; i++ {
		p.post(t, request(i, "m"), "http", "plug")
	}
	bad := p.post(t, request(n, "m"), "pigeon", "plug")
	brokertest.Eventually(t, "all are taken", func() bool { return d.metric("cupline_in_flight") == n })
	if g.total() != 1 {
		t.Errorf("%d executions without a claim", g.total()-1)
	}
	p.broker.Empty(t, mailbox)
	d.tables.Heal()
	told := p.outcomes(t, n+1)
	if !strings.Contains(told[first.ID], `"result"`) || !strings.Contains(told[bad.ID], `"undeliverable"`) || g.total() != n {
		t.Errorf("told %s and %s after %d executions", told[first.ID], told[bad.ID], g.total())
	}
	p.settled(t)
}

// TestCommitsWhoseAnswersAreLost loses the answer to the commit of a claim, and then to that
// of a decision. Both were made: the command goes on under its own token.
func TestCommitsWhoseAnswersAreLost(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	g := p.newGadget(t, "plug", nil)
	d := p.start(t, "CUPLINE_ROLES=work")
	for i, sent := range []string{"i:1001", `"result":{"on":true}`} {
		// Prepares the statements on the connection, so that what is lost is a commit's answer.
		warm := p.post(t, request(i, "m"), "http", "plug")
		says(t, p.outcome(t), warm, `"result"`)
		lost := d.tables.LoseAnswer([]byte(sent))
		c := p.post(t, request(1000+1+i, "m"), "http", "plug")
		says(t, p.outcome(t), c, `"result"`)
		select {
		case <-lost:
		case <-time.After(dispatchtest.Limit):
			t.Fatalf("no answer to %s was lost", sent)
		}
		if g.ran(c) != 1 {
			t.Errorf("%d executions", g.ran(c))
		}
	}
	p.settled(t)
	if trail := p.trail(t, "acme"); len(trail) != 0 {
		t.Errorf("the trail has %+v", trail)
	}
}

// TestRefusedRowAmidABatch: the others of its batch are not touched.
func TestRefusedRowAmidABatch(t *testing.T) {
	t.Parallel()
	const n = 40
	p := newPlatform(t)
	p.exec(t, "alter table ledger add constraint picky check (method <> 'cursed')")
	p.put(t, "nothing", "noop", "")
	var cursed envelope.Command
	want := map[uuid.UUID]string{}
	for i := range n {
		method := "m"
		if i == n/2 {
			method = "cursed"
		}
		c := p.post(t, request(i, method), "noop", "nothing")
		want[c.ID] = `"result"`
		if method == "cursed" {
			cursed = c
		}
	}
	want[cursed.ID] = `"reason":"unrecordable","executed":"maybe"`
	p.start(t)
	for id, body := range p.outcomes(t, n) {
		if !strings.Contains(body, want[id]) {
			t.Errorf("told %s, want %s", body, want[id])
		}
	}
	p.settled(t)
}

// TestBlockedBrokerHoldsBeforeClaiming: what could not be ended is not begun.
func TestBlockedBrokerHoldsBeforeClaiming(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	g := p.newGadget(t, "plug", nil)
	d := p.start(t)
	brokertest.Block(d.broker, "low on memory")
	brokertest.Eventually(t, "readiness says so", func() bool { return strings.Contains(d.get("/readyz"), "low on memory") })
	c := p.post(t, dispatchtest.SetRelay, "http", "plug")
	brokertest.Eventually(t, "it is taken", func() bool { return d.metric("cupline_in_flight") == 1 })
	var rows int
	if err := p.pool.QueryRow(t.Context(), "select count(*) from ledger").Scan(&rows); err != nil || rows != 0 || g.total() != 0 {
		t.Errorf("%d rows, %d executions, %v", rows, g.total(), err)
	}
	brokertest.Unblock(d.broker)
	says(t, p.outcome(t), c, `"result"`)
	p.settled(t)
}

// TestOrderlyStop finishes what runs and hands back the rest.
func TestOrderlyStop(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	running, proceed := make(chan string, 10), make(chan struct{})
	g := p.newGadget(t, "plug", func(r *http.Request, method string) {
		running <- method
		if method == "hangs" {
			<-r.Context().Done()
			return
		}
		<-proceed
	})
	d := p.start(t, "CUPLINE_CONCURRENCY=2", "CUPLINE_DRAIN=10s") // all of which the one that hangs takes
	long := func(c *envelope.Command) { c.Timeout = time.Minute }
	ends, hangs := p.post(t, request(1, "ends"), "http", "plug", long), p.post(t, request(2, "hangs"), "http", "plug", long)
	<-running
	<-running
	waits := p.post(t, request(3, "waits"), "http", "plug", long)
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop(t) }()
	brokertest.Eventually(t, "it says that it is going", func() bool { return strings.Contains(d.get("/readyz"), "draining") })
	close(proceed)
	says(t, p.outcome(t), ends, `"result"`)
	if err := <-stopped; err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("the stop says %v, want that a command was given up", err)
	}
	brokertest.Eventually(t, "the others are back in the queue", func() bool { return p.broker.Depth(t, workQueue) == 2 })
	if g.ran(waits) != 0 {
		t.Error("a command was started while stopping")
	}
	p.broker.Empty(t, mailbox)
	p.broker.Empty(t, deadQueue)
	if g.ran(hangs) != 1 {
		t.Errorf("the one that hangs ran %d times", g.ran(hangs))
	}
}

// TestStopWithNothingAround ends in time although broker and database are away.
func TestStopWithNothingAround(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	d := p.process(t)
	d.broker.Refuse()
	d.tables.Refuse()
	p.run(t, d)
	brokertest.Eventually(t, "it listens", func() bool { return d.get("/healthz") == "" })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- d.stop(t) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the stop says %v", err)
		}
	case <-ctx.Done():
		t.Error("it does not stop")
	}
}
