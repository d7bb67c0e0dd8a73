package app

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

// chief has every right of the platform.
func (w *world) chief() *world {
	chief := *w
	chief.key = w.newKey("acme", "chief", auth.OpsRead, auth.OpsWrite, auth.OpsPlatform, auth.DevicesRead)
	return &chief
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	chief := w.chief()
	lane := w.laneOf("quiet", nil)
	w.expect(w.do("POST", "/v1/lanes/"+lane+"/pause", why), 403, "forbidden") // lanes are the platform's
	for path, shown := range map[string]string{"/v1/devices/lamp-1": "/v1/devices/lamp-1", "/v1/lanes/" + lane: "/v1/lanes"} {
		w.expect(chief.do("POST", path+"/resume", why), 409, "pause_state")
		a := chief.do("POST", path+"/pause", why)
		if w.expect(a, 200, ""); !strings.Contains(a.body, `"paused":{"at":`) || !strings.Contains(a.body, `"why":"the lamp has power again"`) {
			t.Errorf("%s: %v", path, a)
		}
		a = chief.do("POST", path+"/pause", why)
		if w.expect(a, 409, "pause_state"); !strings.Contains(a.body, "by ann (key") {
			t.Errorf("%s paused twice: %v", path, a)
		}
		if a := chief.do("GET", shown, ""); !strings.Contains(a.body, `"paused":{`) {
			t.Errorf("%s: %v", shown, a)
		}
		w.expect(chief.do("POST", path+"/resume", `{"reason":"over","actor":"bob"}`), 200, "")
		if a := chief.do("GET", shown, ""); strings.Contains(a.body, `"paused":{`) {
			t.Errorf("%s: %v", shown, a)
		}
	}
	// Commands are accepted all the same, and a put changes nothing about it.
	w.expect(w.do("POST", "/v1/devices/lamp-1/pause", why), 200, "")
	w.expect(w.post("lamp-1", `{"jsonrpc":"2.0","method":"host.info"}`), 202, "")
	a := w.do("PUT", "/v1/devices/lamp-1", `{"type":"lamp"}`)
	if w.expect(a, 200, ""); !strings.Contains(a.body, `"paused":{`) {
		t.Errorf("put: %v", a)
	}
	w.expect(chief.do("POST", "/v1/lanes/"+lane+"/pause", why), 200, "")
	// They are told from memory, which hears of the pause a little later.
	brokertest.Eventually(t, "the queues tell of the pause", func() bool {
		a := chief.do("GET", "/v1/queues", "")
		if !strings.Contains(a.body, `"kind":"parked"`) {
			t.Errorf("queues: %v", a)
		}
		return strings.Contains(a.body, `"paused":{`)
	})
	for query, n := range map[string]int{"action=pause_device&device=lamp-1": 2, "action=resume_device&actor=" + "nobody": 0, "tenant=system&action=pause_lane&lane=" + lane: 2} {
		if a := chief.do("GET", "/v1/audit?"+query, ""); strings.Count(a.body, `"stage":"operator"`) != n {
			t.Errorf("%s: %v", query, a)
		}
	}
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"/v1/devices/nobody/pause", why, 404, "unknown_device"},
		{"/v1/devices/theirs/pause", why, 404, "unknown_device"},
		{"/v1/lanes/nowhere/pause", why, 404, "not_found"},
		{"/v1/lanes/nowhere/drain", why, 404, "not_found"},
		{"/v1/devices/lamp-1/pause", `{}`, 400, "invalid_request"},
		{"/v1/lanes/" + lane + "/drain", `{"reason":"r","rate":501}`, 400, "invalid_request"},
		{"/v1/lanes/" + lane + "/drain", `{}`, 400, "invalid_request"},
		{"/v1/lanes/" + lane + "/drain?rate=1", why, 400, "invalid_parameter"},
		{"/v1/drains/x/cancel", why, 404, "unknown_drain"},
		{"/v1/drains/" + uuid.NewString() + "/cancel", why, 404, "unknown_drain"},
	} {
		w.expect(chief.do("POST", c.path, c.body), c.status, c.code)
	}
	// Of many at once one wins.
	answers := make([]answer, 6)
	var operators sync.WaitGroup
	for i := range answers {
		operators.Go(func() { answers[i] = chief.do("POST", "/v1/lanes/"+lane+"/resume", why) })
	}
	operators.Wait()
	won := 0
	for _, a := range answers {
		if a.status == 200 {
			won++
		} else {
			w.expect(a, 409, "pause_state")
		}
	}
	if won != 1 {
		t.Errorf("%d resumed it", won)
	}
}

// drainTold is a drain as the API tells it.
type drainTold struct {
	DrainID     string `json:"drain_id"`
	State       string
	Total, Done int
}

func (w *world) startDrain(lane, body string) (d drainTold) {
	w.t.Helper()
	a := w.do("POST", "/v1/lanes/"+lane+"/drain", body)
	w.expect(a, 202, "")
	w.into(a, &d)
	return d
}

func (w *world) drainOf(id string) (d drainTold) {
	w.t.Helper()
	a := w.do("GET", "/v1/drains/"+id, "")
	w.expect(a, 200, "")
	w.into(a, &d)
	return d
}

// queued puts commands into a lane's queue as api does, accepted at that time. Of those that are posted just before or after
// a drain begins api's clock, which is right to within half of a round trip to the database, may say otherwise.
func (w *world) queued(lane string, accepted time.Time, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		c := envelope.Command{
			Lane: lane, Tenant: "acme", Device: lane, Client: "shop", ID: must(uuid.NewV7()), DeviceType: lane, Driver: "mqtt",
			Idempotent: true, Timeout: time.Second, Accepted: accepted, Deadline: accepted.Add(time.Hour),
			Body: fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%q,"method":"host.info"}`, id),
		}
		w.broker.Publish(w.t, c.Message(time.Now()))
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	chief := w.chief()
	lane := w.laneOf("backed-up", nil)
	w.queued(lane, time.Now().Add(-time.Minute), slices.Repeat([]string{"old"}, 5)...)
	w.broker.Publish(t, message.Message{Exchange: topology.CommandsExchange, Key: lane + ".acme.x", Body: []byte("garbage")})
	a := chief.do("POST", "/v1/lanes/"+lane+"/drain", `{"dry_run":true}`)
	if w.expect(a, 200, ""); !strings.Contains(a.body, `"waiting":6`) {
		t.Errorf("dry run: %v", a)
	}
	d := chief.startDrain(lane, `{"reason":"too old by now","actor":"ann","rate":500}`)
	brokertest.Eventually(t, "the backlog is gone", func() bool { return chief.drainOf(d.DrainID).State == "done" })
	if got := chief.drainOf(d.DrainID); got.Total != 6 || got.Done != 6 {
		t.Errorf("drain %+v", got)
	}
	for range 6 {
		m := w.broker.Get(t, topology.DeadQueue)
		if l := envelope.ParseLetter(&m); l.Reason != outcome.Discarded || l.Claim != uuid.Nil || !strings.Contains(l.Detail, d.DrainID) {
			t.Errorf("letter %+v", l)
		}
	}
	w.broker.Empty(t, topology.WorkQueue(lane))
	w.expect(chief.do("POST", "/v1/drains/"+d.DrainID+"/cancel", why), 409, "drain_state")
	if a := chief.do("GET", "/v1/audit?tenant=system&text="+d.DrainID, ""); strings.Count(a.body, `"action":"drain_`) != 2 || !strings.Contains(a.body, "too old by now; 6 wait") {
		t.Errorf("audit %v", a)
	}
	w.expect(w.do("GET", "/v1/drains", ""), 403, "forbidden")
}

// What was accepted after a drain began is none of its business.
func TestDrainLeavesWhatIsNewer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	chief, lane := w.chief(), w.laneOf("newer", nil)
	w.queued(lane, time.Now().Add(-time.Minute), slices.Repeat([]string{"old"}, 3)...)
	d := chief.startDrain(lane, `{"reason":"old","actor":"ann","rate":2}`)
	w.queued(lane, time.Now().Add(time.Minute), "newer")
	brokertest.Eventually(t, "it is done", func() bool { return chief.drainOf(d.DrainID).State == "done" })
	if m := w.broker.Get(t, topology.WorkQueue(lane)); !strings.Contains(string(m.Body), "newer") {
		t.Errorf("left: %s", m.Body)
	}
	if n := w.broker.Depth(t, topology.DeadQueue); n != 3 {
		t.Errorf("%d went to the recorder", n)
	}
}

// A drain ends when it is told, and goes on after a restart.
func TestDrainIsPacedCancelledTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	chief := w.chief()
	lane := w.laneOf("slow-drain", nil)
	w.queued(lane, time.Now().Add(-time.Minute), slices.Repeat([]string{"old"}, 60)...) // more than go while one looks away
	d := chief.startDrain(lane, `{"reason":"old","actor":"ann","rate":2}`)
	w.expect(chief.do("POST", "/v1/lanes/"+lane+"/drain", `{"reason":"old","actor":"bob"}`), 409, "drain_state")
	if a := chief.do("GET", "/v1/lanes", ""); !strings.Contains(a.body, `"draining":true`) {
		t.Errorf("lanes %v", a)
	}
	brokertest.Eventually(t, "it has begun", func() bool { return chief.drainOf(d.DrainID).Done > 0 })
	w.expect(chief.do("POST", "/v1/drains/"+d.DrainID+"/cancel", why), 200, "")
	brokertest.Eventually(t, "the rest is back", func() bool {
		return w.broker.Depth(t, topology.WorkQueue(lane)) > 1 && w.broker.Consumers(t, topology.WorkQueue(lane)) == 0
	})
	second := chief.startDrain(lane, `{"reason":"old","actor":"ann","rate":500}`)
	if !strings.Contains(chief.do("GET", "/v1/drains?limit=1", "").body, second.DrainID) {
		t.Error("the newest drain is not listed first")
	}
	w.check(w.stop())
	w.start(func(*Settings) {})
	chief.app, chief.client, chief.base = w.app, w.client, w.base
	w.waitReady()
	brokertest.Within(t, 60*time.Second, "it is done", func() bool { return chief.drainOf(second.DrainID).State == "done" })
	w.broker.Empty(t, topology.WorkQueue(lane))
}
