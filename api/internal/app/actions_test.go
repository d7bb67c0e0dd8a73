package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/deadletter"
)

// editedTold is what is told of a letter that was redriven with other params.
type editedTold struct {
	Payload, Edited struct{ Params map[string]any }
	Changes         []struct {
		At       string
		Old, New any
	}
}

func TestRedriveWithOtherParams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	lane := w.laneOf("edited", nil)
	id := w.bury(func(l *deadletter.Letter) {
		l.Device, l.Payload = lane, []byte(`{"jsonrpc":"2.0","id":"c-1","method":"relay.set","params":{"on":"yes","x":[1,2]}}`)
	})
	path := "/v1/dead-letters/" + id
	// The params fail the schema of today, so it cannot be sent as it is.
	w.expect(w.do("POST", path+"/redrive", why), 422, "invalid_params")
	w.expect(w.do("POST", path+"/redrive", `{"dry_run":true}`), 422, "invalid_params")
	for _, params := range []string{`{"on":1}`, `7`, `null,"x":1`} {
		if a := w.do("POST", path+"/redrive", `{"reason":"r","params":`+params+`}`); a.status != 422 && a.status != 400 {
			t.Errorf("params %s: %v", params, a)
		}
	}
	w.expect(w.do("POST", path+"/redrive", `{"reason":"r","params":{"x":[1,2],"on":"yes"}}`), 400, "invalid_request") // no change
	const changes = `"changes":[{"at":"/on","old":"yes","new":true},{"at":"/x/1","old":2,"new":3}]`
	a := w.do("POST", path+"/redrive", `{"dry_run":true,"params":{"on":true,"x":[1,3]}}`)
	if w.expect(a, 200, ""); !strings.Contains(a.body, changes) {
		t.Errorf("dry run: %v", a)
	}
	if l := w.letterOf(id); l.State != "open" || len(l.Events) != 0 || w.broker.Depth(t, topology.WorkQueue(lane)) != 0 {
		t.Errorf("a dry run changed %+v", l)
	}
	a = w.do("POST", path+"/redrive", `{"reason":"on is a boolean","actor":"ann","params":{"on":true,"x":[1,3]}}`)
	if w.expect(a, 200, ""); !strings.Contains(a.body, changes) {
		t.Errorf("redrive: %v", a)
	}
	const sent = `{"jsonrpc":"2.0","id":"c-1","method":"relay.set","params":{"on":true,"x":[1,3]}}`
	if m := w.broker.Get(t, topology.WorkQueue(lane)); string(m.Body) != sent {
		t.Errorf("published %s", m.Body)
	}
	var whole editedTold
	w.into(w.do("GET", path, ""), &whole)
	if whole.Payload.Params["on"] != "yes" || whole.Edited.Params["on"] != true || len(whole.Changes) != 2 || whole.Changes[0].At != "/on" {
		t.Errorf("letter %+v", whole)
	}
	if a := w.do("GET", "/v1/audit?action=redrive&device="+lane, ""); !strings.Contains(a.body, `edited: /on: \"yes\" -> true`) {
		t.Errorf("audit %v", a)
	}
}

// What died again and again is held until an operator says otherwise.
func TestLoopGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *world, s *Settings) { s.LoopGuard = 2 })
	again := func(times int) string {
		return w.bury(func(l *deadletter.Letter) { l.Redrive, l.RedriveOf = times, uuid.New() })
	}
	once, twice := again(1), again(2)
	w.expect(w.do("POST", "/v1/dead-letters/"+twice+"/redrive", why), 409, "letter_held")
	if a := w.do("GET", "/v1/dead-letters?held=true", ""); !strings.Contains(a.body, twice) || strings.Contains(a.body, once) || !strings.Contains(a.body, `"held":true`) {
		t.Errorf("held: %v", a)
	}
	if a := w.do("POST", "/v1/dead-letter-jobs", `{"kind":"redrive","filter":{},"dry_run":true}`); !strings.Contains(a.body, `"held":1`) {
		t.Errorf("dry run: %v", a)
	}
	id := w.startJob(`{"kind":"redrive","filter":{},"reason":"r","actor":"ann","rate":100}`)
	brokertest.Eventually(t, "the job is done", func() bool { return w.jobOf(id).State == "done" })
	if j := w.jobOf(id); j.Results["redriven"] != 1 || j.Results["skipped"] != 1 {
		t.Errorf("job %+v", j)
	}
	w.expect(w.do("POST", "/v1/dead-letters/"+twice+"/redrive", `{"reason":"mended","include_held":true}`), 200, "")
}

// A discard can be undone, one by one or as a whole job, for a day.
func TestDiscardIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	one := w.bury(nil)
	path := "/v1/dead-letters/" + one
	w.expect(w.do("POST", path+"/undo", why), 409, "letter_state")
	w.expect(w.do("POST", path+"/discard", why), 200, "")
	w.expect(w.do("POST", path+"/undo", `{}`), 400, "invalid_request")
	w.expect(w.do("POST", path+"/undo", why), 200, "")
	if l := w.letterOf(one); l.State != "open" {
		t.Errorf("letter %+v", l)
	}
	w.expect(w.do("POST", path+"/discard", why), 200, "")
	must(w.pool.Exec(t.Context(), "update dead_letters set changed_at = now() - interval '25h'"))
	w.expect(w.do("POST", path+"/undo", why), 409, "letter_state")

	w.stack("lamp-2", 4)
	discarded := w.startJob(`{"kind":"discard","filter":{"device":"lamp-2"},"reason":"old","actor":"ann","rate":100}`)
	brokertest.Eventually(t, "all are discarded", func() bool { return w.jobOf(discarded).State == "done" })
	filter := `"filter":{"job_id":"` + discarded + `"}`
	if a := w.do("POST", "/v1/dead-letter-jobs", `{"kind":"undo",`+filter+`,"dry_run":true}`); !strings.Contains(a.body, `"letters":4`) {
		t.Errorf("dry run: %v", a)
	}
	undone := w.startJob(`{"kind":"undo",` + filter + `,"reason":"the wrong lamp","actor":"bob","rate":100}`)
	brokertest.Eventually(t, "all are open", func() bool { return w.jobOf(undone).State == "done" })
	if j := w.jobOf(undone); j.Results["reopened"] != 4 {
		t.Errorf("job %+v", j)
	}
	a := w.do("GET", "/v1/dead-letters?device=lamp-2&counts=true", "")
	if !strings.Contains(a.body, `"open":4`) {
		t.Errorf("%v", a)
	}
	for query, want := range map[string]int{"": 2, "?kind=undo": 1, "?state=running": 0, "?limit=1": 1, "?limit=1&after=" + undone: 1, "?tenant=acme": 2} {
		a := w.do("GET", "/v1/dead-letter-jobs"+query, "")
		if w.expect(a, 200, ""); strings.Count(a.body, `"kind":`) != want {
			t.Errorf("%s: %v", query, a)
		}
	}
	for _, query := range []string{"?kind=purge", "?state=open", "?after=x", "?limit=101", "?who=ann"} {
		w.expect(w.do("GET", "/v1/dead-letter-jobs"+query, ""), 400, "invalid_parameter")
	}
}

// A canary's outcomes are waited for; what its commands came to is told of each.
func TestJobWithCanary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	lane := w.laneOf("canary", nil)
	w.stack(lane, 5)
	id := w.startJob(`{"kind":"redrive","filter":{"device":"` + lane + `"},"reason":"back","actor":"ann","rate":100,"canary":2,"stop_above":0}`)
	for range 2 {
		m := w.broker.Get(t, topology.WorkQueue(lane))
		must(w.pool.Exec(t.Context(), `insert into ledger (tenant, client, id, redrive, command_id, token, digest, device, device_type, method, lane,
			timeout_ms, idempotent, one_way, accepted_at, deadline_at, started_at, outcome, origin, decided_at) values ('acme', 'shop', $2, 1, $1, $1, '', $3, $3, 'm', $3,
			1, false, false, now(), now(), now(), '{"jsonrpc":"2.0","id":1,"result":true}', 'device', now())`, m.ID, []byte(m.ID), lane))
	}
	brokertest.Eventually(t, "the rest went", func() bool { return w.jobOf(id).State == "done" })
	a := w.do("GET", "/v1/dead-letter-jobs/"+id, "")
	if !strings.Contains(a.body, `"outcomes":{"answered":2}`) || !strings.Contains(a.body, `"awaited":3`) || !strings.Contains(a.body, `"canary_due":false`) {
		t.Errorf("job %v", a)
	}
	a = w.do("GET", "/v1/dead-letter-jobs/"+id+"/items?limit=2", "")
	if w.expect(a, 200, ""); strings.Count(a.body, `"outcome":"answered"`) != 2 || !strings.Contains(a.body, `"next":"2"`) {
		t.Errorf("items %v", a)
	}
	for _, more := range []string{`"canary":1001`, `"canary":-1`, `"stop_above":101`, `"stop_after":0`, `"kind":"discard","canary":1`} {
		body := fmt.Sprintf(`{"filter":{},"reason":"r","actor":"a",%s}`, more)
		if !strings.Contains(more, "kind") {
			body = strings.Replace(body, "{", `{"kind":"redrive",`, 1)
		}
		w.expect(w.do("POST", "/v1/dead-letter-jobs", body), 400, "invalid_request")
	}
}
