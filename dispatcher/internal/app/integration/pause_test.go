package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/registry"
)

var byAnn = registry.Act{Actor: "ann", Reason: "the cable is changed"}

// Commands of a paused device wait, without slots and out of the way of its neighbours, through a restart; they run
// once each after it goes on, but for the one whose time was over.
func TestPausedDevice(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	still, busy := p.newGadget(t, "still", nil), p.newGadget(t, "busy", nil)
	d := p.start(t, "CUPLINE_CONCURRENCY=2", "CUPLINE_DEVICE_LIMIT=2")
	if err := p.registry.SetDevicePaused(t.Context(), "acme", "still", true, byAnn); err != nil {
		t.Fatal(err)
	}
	posted := 0
	brokertest.Eventually(t, "the pause is known", func() bool {
		posted++
		p.post(t, request(100+posted, "probe"), "http", "still")
		return p.broker.Depth(t, topology.ParkedQueue) > 0
	})
	brokertest.Eventually(t, "each has run or waits", func() bool { return still.total()+p.broker.Depth(t, topology.ParkedQueue) == posted })
	probes := still.total()
	var waiting []envelope.Command
	for i := range 5 {
		waiting = append(waiting, p.post(t, request(10+i, "wait"), "http", "still"))
	}
	late := p.post(t, request(9, "late"), "http", "still", func(c *envelope.Command) { c.Deadline = time.Now().Add(300 * time.Millisecond) })
	neighbour := p.post(t, request(1, "go"), "http", "busy")
	told := map[uuid.UUID]envelope.Outcome{}
	for told[neighbour.ID].CommandID == uuid.Nil || told[late.ID].CommandID == uuid.Nil {
		o := p.outcome(t)
		told[o.CommandID] = o
	}
	if o := told[late.ID]; o.Reason != outcome.Expired || busy.ran(neighbour) != 1 {
		t.Errorf("late %+v, neighbour ran %d times", o, busy.ran(neighbour))
	}
	if err := d.stop(t); err != nil {
		t.Error(err)
	}
	p.start(t, "CUPLINE_CONCURRENCY=2", "CUPLINE_DEVICE_LIMIT=2")
	brokertest.Eventually(t, "they come back and are put aside again", func() bool {
		return p.broker.Depth(t, topology.ParkedQueue) >= len(waiting)+posted-probes
	})
	if n := still.total(); n != probes {
		t.Errorf("%d ran on a paused device", n-probes)
	}
	if err := p.registry.SetDevicePaused(t.Context(), "acme", "still", false, byAnn); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "all have run", func() bool {
		for _, c := range waiting {
			if still.ran(c) != 1 {
				return false
			}
		}
		return true
	})
	brokertest.Eventually(t, "nothing is left", func() bool {
		return p.broker.Depth(t, workQueue)+p.broker.Depth(t, topology.ParkedQueue)+p.broker.Depth(t, deadQueue) == 0
	})
	if letters := p.letters(t, "acme"); len(letters) != 1 || letters[0].CommandID != late.ID || letters[0].Executed != string(outcome.No) {
		t.Errorf("letters %+v", letters)
	}
}

// A paused lane's dispatchers take nothing, also those that start meanwhile.
func TestPausedLane(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	lamp := p.newGadget(t, "lamp", nil)
	p.start(t)
	system := store.ForTenant(t.Context(), topology.SystemTenant)
	if err := p.registry.SetLanePaused(system, "default", true, byAnn); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "nobody takes", func() bool { return p.broker.Consumers(t, workQueue) == 0 })
	second := p.start(t)
	c := p.post(t, request(1, "go"), "http", "lamp")
	if n := p.broker.Consumers(t, workQueue); n != 0 || lamp.total() != 0 {
		t.Errorf("%d take from a paused lane", n)
	}
	brokertest.Eventually(t, "whoever takes nothing is ready", func() bool { return second.get("/readyz") == "" })
	if err := p.registry.SetLanePaused(system, "default", false, byAnn); err != nil {
		t.Fatal(err)
	}
	says(t, p.outcome(t), c, `"result"`)
	p.settled(t)
}

// What a drain and a settlement give to the recorder is told to the client; a settled command has no letter.
func TestDiscardedAndSettled(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	p.put(t, "lamp", "http", "http://127.0.0.1:1")
	p.start(t, "CUPLINE_ROLES=record")
	c := p.post(t, request(1, "old"), "http", "lamp")
	m := p.broker.Get(t, workQueue)
	p.broker.Publish(t, envelope.Bury(m, envelope.Verdict{Reason: outcome.Discarded, Detail: "drained"}))
	says(t, p.outcome(t), c, `"reason":"discarded","executed":"no"`)
	if l := p.letters(t, "acme"); len(l) != 1 || l[0].State != deadletter.Discarded || l[0].Changed.IsZero() {
		t.Errorf("letters %+v", l)
	}
	// A row that a worker left open two hours ago, and whose message is gone.
	open := p.post(t, request(2, "lost"), "http", "lamp")
	p.broker.Get(t, workQueue)
	p.exec(t, fmt.Sprintf(`insert into ledger (tenant, client, id, redrive, command_id, token, digest, raw_id, device, device_type, method, lane,
		timeout_ms, idempotent, one_way, accepted_at, deadline_at, started_at) values ('acme', '%s', 'i:2', 0, '%s', gen_random_uuid(), '', '2', 'lamp', 'http', 'lost',
		'default', 1000, false, false, now(), now(), now() - interval '2 hours')`, open.Client, open.ID))
	stand := open
	stand.Body = []byte(request(2, "lost"))
	for range 2 { // whoever settles again changes nothing
		p.broker.Publish(t, envelope.Bury(stand.Message(time.Now()), envelope.Verdict{Reason: outcome.WorkerLost, Bodyless: true}))
		says(t, p.outcome(t), open, `"reason":"worker_lost","executed":"maybe"`)
	}
	if n := len(p.letters(t, "acme")); n != 1 {
		t.Errorf("%d letters", n)
	}
	settled := 0
	for _, e := range p.trail(t, "acme") {
		if e.Action == "settled" {
			settled++
		}
	}
	if settled != 1 {
		t.Errorf("%d entries", settled)
	}
}
