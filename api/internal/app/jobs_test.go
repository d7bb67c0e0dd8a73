package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/deadletter"
)

// jobTold is a job as the API tells it.
type jobTold struct {
	JobID          string `json:"job_id"`
	State          string
	Total, Waiting int
	Results        map[string]int
}

func (w *world) jobOf(id string) (j jobTold) {
	w.t.Helper()
	a := w.do("GET", "/v1/dead-letter-jobs/"+id, "")
	w.expect(a, 200, "")
	w.into(a, &j)
	return j
}

// startJob starts one and returns its id.
func (w *world) startJob(body string) string {
	w.t.Helper()
	a := w.do("POST", "/v1/dead-letter-jobs", body)
	w.expect(a, 202, "")
	var j jobTold
	w.into(a, &j)
	return j.JobID
}

// stack buries n letters for a device.
func (w *world) stack(device string, n int) {
	w.t.Helper()
	for i := range n {
		w.bury(func(l *deadletter.Letter) {
			l.Device, l.Payload = device, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"relay.set","params":{"on":true}}`, i)
		})
	}
}

func TestJobRedrivesWhatItsFilterChooses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	lane := w.laneOf("many", nil)
	w.stack(lane, 5)
	w.bury(func(l *deadletter.Letter) { l.Device, l.Executed, l.Reason = lane, "maybe", "no_answer" })
	w.bury(nil) // not chosen
	a := w.do("POST", "/v1/dead-letter-jobs", `{"kind":"redrive","filter":{"device":"`+lane+`"},"dry_run":true}`)
	w.expect(a, 200, "")
	if !strings.HasPrefix(a.body, `{"dry_run":true,"groups":[{`) || !strings.Contains(a.body, `"held":0`) || !strings.Contains(a.body, `"letters":6,"maybe":1,"older_than_a_day":0`) {
		t.Errorf("dry run: %v", a)
	}
	id := w.startJob(`{"kind":"redrive","filter":{"device":"` + lane + `"},"reason":"back","actor":"ann","rate":100}`)
	brokertest.Eventually(t, "the job is done", func() bool { return w.jobOf(id).State == "done" })
	if j := w.jobOf(id); j.Total != 6 || j.Waiting != 0 || j.Results["redriven"] != 5 || j.Results["skipped"] != 1 {
		t.Errorf("job %+v", j)
	}
	if n := w.broker.Depth(t, topology.WorkQueue(lane)); n != 5 {
		t.Errorf("%d commands in the queue", n)
	}
	a = w.do("GET", "/v1/dead-letter-jobs/"+id+"/items", "")
	w.expect(a, 200, "")
	if strings.Count(a.body, `"result":"redriven"`) != 5 || !strings.Contains(a.body, "may_have_executed") {
		t.Errorf("items %v", a)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", "/" + id + "/pause", why, 409, "job_state"},
		{"POST", "/" + uuid.NewString() + "/cancel", why, 404, "unknown_job"},
		{"GET", "/x", "", 404, "unknown_job"},
		{"POST", "", `{"kind":"redrive","filter":{},"actor":"a"}`, 400, "invalid_request"},
		{"POST", "", `{"kind":"redrive","filter":{},"reason":"r"}`, 400, "invalid_request"},
		{"POST", "", `{"kind":"purge","filter":{},"reason":"r","actor":"a"}`, 400, "invalid_request"},
		{"POST", "", `{"kind":"redrive","reason":"r","actor":"a"}`, 400, "invalid_request"},
		{"POST", "", `{"kind":"redrive","filter":{"devices":"x"},"reason":"r","actor":"a"}`, 400, "invalid_request"},
		{"POST", "", `{"kind":"redrive","filter":{"state":"redriven"},"reason":"r","actor":"a"}`, 400, "invalid_request"},
		{"POST", "", `{"kind":"redrive","filter":{},"reason":"r","actor":"a","rate":501}`, 400, "invalid_request"},
	} {
		w.expect(w.do(c.method, "/v1/dead-letter-jobs"+c.path, c.body), c.status, c.code)
	}
}

// A job stops and goes on as it is told, and ends where it is told.
func TestJobIsPausedResumedCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const letters = 150 // far more than go while one looks away
	w.stack("lamp-1", letters)
	id := w.startJob(`{"kind":"discard","filter":{"device":"lamp-1"},"reason":"old","actor":"ann","rate":5}`)
	brokertest.Eventually(t, "the job has begun", func() bool { return w.jobOf(id).Results["discarded"] > 0 })
	w.expect(w.do("POST", "/v1/dead-letter-jobs/"+id+"/pause", why), 200, "")
	brokertest.Eventually(t, "nobody works on it", func() bool {
		var free bool
		w.check(w.pool.QueryRow(t.Context(), "select leased_until is null from desk_jobs").Scan(&free))
		return free
	})
	paused := w.jobOf(id)
	if paused.State != "paused" || paused.Waiting == 0 || paused.Waiting+paused.Results["discarded"] != letters {
		t.Errorf("paused: %+v", paused)
	}
	w.expect(w.do("POST", "/v1/dead-letter-jobs/"+id+"/resume", why), 200, "")
	brokertest.Eventually(t, "it goes on", func() bool { return w.jobOf(id).Waiting < paused.Waiting })
	w.expect(w.do("POST", "/v1/dead-letter-jobs/"+id+"/cancel", why), 200, "")
	w.expect(w.do("POST", "/v1/dead-letter-jobs/"+id+"/resume", why), 409, "job_state")
	if a := w.do("GET", "/v1/audit?text="+id, ""); strings.Count(a.body, `"action":"job_`) != 4 {
		t.Errorf("audit %v", a)
	}
}

// A job goes on after a restart and sends nothing twice, even where the process died between a letter and its note.
func TestJobGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const letters = 100 // far more than go before it is stopped
	patient := lamp("acme", "default")
	method := patient.Methods["relay.set"]
	method.TTL = device.Duration(30 * time.Minute) // they are counted in the end
	patient.Methods["relay.set"] = method
	patient.Name = "patient"
	w.putType(patient)
	w.putDevice(device.Device{Tenant: "acme", ID: "lamp-7", Type: "patient"})
	w.stack("lamp-7", letters)
	id := w.startJob(`{"kind":"redrive","filter":{},"reason":"back","actor":"ann","rate":10}`)
	brokertest.Eventually(t, "the job has begun", func() bool { return w.jobOf(id).Results["redriven"] > 2 })
	w.check(w.stop())
	tag := must(w.pool.Exec(t.Context(), "update desk_job_items set result = '', done_at = null where position <= 2"))
	if tag.RowsAffected() != 2 {
		t.Fatal(tag)
	}
	w.start(func(*Settings) {})
	w.waitReady()
	brokertest.Within(t, 60*time.Second, "the job is done", func() bool { return w.jobOf(id).State == "done" })
	if j := w.jobOf(id); j.Results["redriven"] != letters {
		t.Errorf("job %+v", j)
	}
	if n := w.broker.Depth(t, topology.WorkQueue("default")); n != letters {
		t.Errorf("%d commands in the queue", n)
	}
}
