package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

// leave is an open row as a worker that died leaves it, so long ago.
func (w *world) leave(tenant string, ago time.Duration) uuid.UUID {
	w.t.Helper()
	id := must(uuid.NewV7())
	must(w.pool.Exec(w.t.Context(), `insert into ledger (tenant, client, id, redrive, command_id, token, digest, raw_id, device, device_type, method, lane,
		timeout_ms, idempotent, one_way, accepted_at, deadline_at, created_at, started_at) values ($1, 'shop', $2, 0, $3, $3, '', '"c-9"', 'lamp-1', 'lamp', 'relay.set',
		'default', 1000, false, false, now() - $4::interval, now(), now() - $4::interval, now() - $4::interval)`, tenant, id[:], id.String(), ago))
	return id
}

func TestOpenCommandsAreListedAndSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	long, longer := w.leave("acme", 2*time.Hour), w.leave("acme", 3*time.Hour)
	young, theirs := w.leave("acme", 10*time.Second), w.leave("other", 2*time.Hour)
	a := w.do("GET", "/v1/open-commands", "")
	w.expect(a, 200, "")
	for id, want := range map[uuid.UUID]bool{long: true, longer: true, young: false, theirs: false} {
		if strings.Contains(a.body, id.String()) != want {
			t.Errorf("%s is there: %t in %v", id, !want, a)
		}
	}
	var page struct {
		Commands []struct {
			CommandID string `json:"command_id"`
			ID        string
		}
		Next string
	}
	w.into(w.do("GET", "/v1/open-commands?limit=1", ""), &page)
	if len(page.Commands) != 1 || page.Commands[0].CommandID != longer.String() || page.Commands[0].ID != "c-9" {
		t.Errorf("first page %+v", page)
	}
	if a := w.do("GET", "/v1/open-commands?limit=1&after="+page.Next, ""); !strings.Contains(a.body, long.String()) {
		t.Errorf("second page %v", a)
	}
	if a := w.do("GET", "/v1/open-commands?overdue=150m", ""); strings.Contains(a.body, long.String()) || !strings.Contains(a.body, longer.String()) {
		t.Errorf("overdue %v", a)
	}
	for _, query := range []string{"overdue=1s", "overdue=soon", "after=x", "from=x", "device=lamp-1"} {
		w.expect(w.do("GET", "/v1/open-commands?"+query, ""), 400, "invalid_parameter")
	}
	settle := func(id string) answer { return w.do("POST", "/v1/open-commands/"+id+"/settle", why) }
	w.expect(settle(young.String()), 409, "command_state")
	w.expect(settle(theirs.String()), 404, "unknown_command")
	w.expect(settle("x"), 404, "unknown_command")
	w.expect(w.do("POST", "/v1/open-commands/"+long.String()+"/settle", `{}`), 400, "invalid_request")
	a = settle(long.String()) // no recorder is here
	if w.expect(a, 202, ""); !strings.Contains(a.body, `"state":"open"`) {
		t.Errorf("settled: %v", a)
	}
	w.expect(settle(long.String()), 409, "command_state") // somebody does
	m := w.broker.Get(t, topology.DeadQueue)
	l := envelope.ParseLetter(&m)
	if l.Malformed != nil || !l.Bodyless || l.Reason != outcome.WorkerLost || l.Command.ID != long || l.Command.Client != "shop" ||
		string(l.Command.Body) != `{"id":"c-9","jsonrpc":"2.0","method":"relay.set"}` {
		t.Errorf("letter %+v %s", l, l.Command.Body)
	}
	must(w.pool.Exec(t.Context(), `update ledger set outcome = '{}', origin = 'platform', reason = 'worker_lost', decided_at = now() where command_id = $1`, longer.String()))
	w.expect(settle(longer.String()), 409, "command_state")
	if a := w.do("GET", "/v1/audit?action=settle&device_type=lamp&sort=at", ""); strings.Count(a.body, `"action":"settle"`) != 1 || !strings.Contains(a.body, `"id":"c-9"`) && !strings.Contains(a.body, `"command_id":"`+long.String()) {
		t.Errorf("audit %v", a)
	}
}
