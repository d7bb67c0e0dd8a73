package app

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
)

// bury writes a letter of acme's lamp-1 as a recorder does, and returns its id.
func (w *world) bury(change func(*deadletter.Letter)) string {
	w.t.Helper()
	l := deadletter.Letter{
		Tenant: "acme", CommandID: must(uuid.NewV7()), Client: "shop", Device: "lamp-1", DeviceType: "lamp", Method: "relay.set", Lane: "default",
		ID: []byte(`"c-1"`), Reason: "device_offline", Executed: "no", Detail: "nobody listens on 7",
		Payload:    []byte(`{"jsonrpc":"2.0","id":"c-1","method":"relay.set","params":{"on":true}}`),
		Properties: []byte(`{"key":"default.acme.lamp-1"}`), Headers: []byte(`{"traceparent":"00-a-b-01","x-death":[{"count":1}]}`), Deaths: []byte(`[{"reason":"expired"}]`),
		Outcome: []byte(`{"jsonrpc":"2.0","id":"c-1","error":{"code":-32011,"message":"m"}}`),
	}
	if change != nil {
		change(&l)
	}
	settled, err := deadletter.New(w.pool).Settle(w.t.Context(), ledger.Key{}, func(*ledger.Row) deadletter.Resolution {
		return deadletter.Resolution{Letter: &l}
	})
	w.check(err)
	return settled.LetterID.String()
}

const why = `{"reason":"the lamp has power again","actor":"ann"}`

// told is a letter as the API tells it whole.
type told struct {
	State, Group    string
	PayloadEncoding string `json:"payload_encoding"`
	RedrivenAs      string `json:"redriven_as"`
	ChangedBy       string `json:"changed_by"`
	ChangedWhy      string `json:"changed_why"`
	CommandID       string `json:"command_id"`
	RedriveNumber   int    `json:"redrive_number"`
	Payload, Told   json.RawMessage
	Events          []struct{ Event, Actor, Detail string }
	Related         []struct {
		LetterID string `json:"letter_id"`
	}
}

func (w *world) letterOf(id string) (l told) {
	w.t.Helper()
	a := w.do("GET", "/v1/dead-letters/"+id, "")
	w.expect(a, 200, "")
	w.into(a, &l)
	return l
}

func TestOperatorsDesk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, test := range map[string]func(*testing.T, *world){
		"Redrive": redriveOne, "Refusals": refusals, "Discard": discardOne, "Winner": oneWinner, "Filters": filters, "Tenants": tenantsLetters,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := *w
			here.t = t
			test(t, &here)
		})
	}
}

func redriveOne(t *testing.T, w *world) {
	lane := w.laneOf("again", nil)
	const own = `{"jsonrpc":"2.0","id":"c-2","method":"relay.set","params":{"on":true}}` // its redrives are numbered on their own
	id := w.bury(func(l *deadletter.Letter) { l.Device, l.DeviceType, l.Lane, l.Payload = lane, lane, lane, []byte(own) })
	a := w.do("POST", "/v1/dead-letters/"+id+"/redrive", why)
	w.expect(a, 200, "")
	m := w.broker.Get(t, topology.WorkQueue(lane))
	command, err := envelope.ParseCommand(&m)
	l := w.letterOf(id)
	if err != nil || command.ID.String() != l.RedrivenAs || command.Redrive != 1 || command.RedriveOf.String() != l.CommandID ||
		command.Client != "shop" || command.Trace.Parent != "00-a-b-01" || string(command.Body) != string(l.Payload) || command.Timeout != 5*time.Second {
		t.Errorf("published %+v, %v for %+v", command, err, l)
	}
	if ttl := command.Deadline.Sub(command.Accepted); ttl != 30*time.Second || time.Since(command.Accepted) > time.Minute {
		t.Errorf("lives %s from %s", ttl, command.Accepted)
	}
	if m.Headers["x-death"] != nil {
		t.Errorf("x-death came along: %v", m.Headers)
	}
	if l.State != "redriven" || !strings.HasPrefix(l.ChangedBy, "ann (key ") || l.ChangedWhy != "the lamp has power again" || l.RedriveNumber != 1 || l.PayloadEncoding != "json" {
		t.Errorf("letter %+v", l)
	}
	var steps []string
	for _, e := range l.Events {
		steps = append(steps, e.Event)
	}
	if fmt.Sprint(steps) != "[redrive redriven]" {
		t.Errorf("events %v", l.Events)
	}
	w.expect(w.do("POST", "/v1/dead-letters/"+id+"/redrive", why), 409, "letter_state")
	w.expect(w.do("POST", "/v1/dead-letters/"+id+"/discard", why), 409, "letter_state")
	a = w.do("GET", "/v1/audit?action=redrive&device="+lane, "")
	w.expect(a, 200, "")
	if !strings.Contains(a.body, "the lamp has power again; as command "+l.RedrivenAs+", redrive 1") || !strings.Contains(a.body, `"id":"c-1"`) {
		t.Errorf("audit %v", a)
	}
	// What it died of again is linked to it.
	again := w.bury(func(n *deadletter.Letter) {
		n.CommandID, n.RedriveOf, n.Redrive = uuid.MustParse(l.RedrivenAs), uuid.MustParse(l.CommandID), 1
	})
	if r := w.letterOf(id).Related; len(r) != 1 || r[0].LetterID != again {
		t.Errorf("related %v", r)
	}
	w.expect(w.do("GET", "/v1/commands/"+l.RedrivenAs+"/history", ""), 200, "")
	w.expect(w.do("GET", "/v1/commands/"+uuid.NewString()+"/history", ""), 404, "unknown_command")
}

func refusals(t *testing.T, w *world) {
	plain := w.bury(nil)
	maybe := w.bury(func(l *deadletter.Letter) { l.Reason, l.Executed = "no_answer", "maybe" })
	discarded := w.bury(nil)
	w.expect(w.do("POST", "/v1/dead-letters/"+discarded+"/discard", why), 200, "")
	theirs := w.bury(func(l *deadletter.Letter) { l.Tenant = "other" })
	for name, c := range map[string]struct {
		letter, body string
		status       int
		code         string
	}{
		"maybe":     {maybe, why, 409, "may_have_executed"},
		"gone":      {w.bury(func(l *deadletter.Letter) { l.Device = "gone" }), why, 409, "device_gone"},
		"garbage":   {w.bury(func(l *deadletter.Letter) { l.Payload = []byte("\x00garbage") }), why, 422, "not_redrivable"},
		"discarded": {discarded, why, 409, "letter_state"},
		"theirs":    {theirs, why, 404, "unknown_letter"},
		"nobody's":  {uuid.NewString(), why, 404, "unknown_letter"},
		"no id":     {"x", why, 404, "unknown_letter"},
		"no reason": {plain, `{}`, 400, "invalid_request"},
		"blank":     {plain, `{"reason":"  "}`, 400, "invalid_request"},
		"unknown":   {plain, `{"reason":"r","include_all":true}`, 400, "invalid_request"},
		"parameter": {plain + "/redrive?all=true#", why, 400, "invalid_parameter"},
	} {
		path := "/v1/dead-letters/" + c.letter
		if !strings.HasSuffix(path, "#") {
			path += "/redrive"
		}
		a := w.do("POST", path, c.body)
		if a.status != c.status || !strings.Contains(a.body, `"code":"`+c.code+`"`) || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v", name, a)
		}
	}
	for _, id := range []string{plain, maybe} {
		if l := w.letterOf(id); l.State != "open" || len(l.Events) != 0 {
			t.Errorf("changed: %+v", l)
		}
	}
	w.expect(w.do("POST", "/v1/dead-letters/"+maybe+"/redrive", `{"reason":"it did not run","include_maybe":true}`), 200, "")
	// A queue that is full takes nothing: the letter is open as before, and can be sent later.
	lane := w.laneOf("tight", func(l *topology.Lane) { l.MaxLength = 1 })
	full := w.bury(func(l *deadletter.Letter) { l.Device = lane })
	brokertest.Eventually(t, "the lane is full", func() bool {
		return strings.Contains(w.post(lane, `{"jsonrpc":"2.0","method":"host.info"}`, "Cupline-TTL", "10m").body, "queue_full")
	})
	w.expect(w.do("POST", "/v1/dead-letters/"+full+"/redrive", why), 503, "queue_full")
	if l := w.letterOf(full); l.State != "open" || l.RedrivenAs != "" {
		t.Errorf("letter %+v", l)
	}
}

func discardOne(t *testing.T, w *world) {
	id := w.bury(func(l *deadletter.Letter) { l.Payload = []byte{0xff, 0} })
	a := w.do("POST", "/v1/dead-letters/"+id+"/discard", `{"reason":"no longer wanted"}`)
	w.expect(a, 200, "")
	l := w.letterOf(id)
	if l.State != "discarded" || !strings.HasPrefix(l.ChangedBy, "key ") || l.PayloadEncoding != "hex" || string(l.Payload) != `"ff00"` || !strings.Contains(string(l.Told), "-32011") {
		t.Errorf("%+v", l)
	}
}

// Of operators who act at once one wins; the others get one clear conflict.
func oneWinner(t *testing.T, w *world) {
	id := w.bury(nil)
	answers := make([]answer, 6)
	var operators sync.WaitGroup
	for i := range answers {
		operators.Go(func() {
			answers[i] = w.do("POST", "/v1/dead-letters/"+id+"/"+[]string{"redrive", "discard"}[i%2], why)
		})
	}
	operators.Wait()
	won := 0
	for _, a := range answers {
		if a.status == 200 {
			won++
		} else {
			w.expect(a, 409, "letter_state")
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

func filters(t *testing.T, w *world) {
	for i := range 5 {
		w.bury(func(l *deadletter.Letter) {
			l.Device, l.Detail, l.Reason, l.Executed = "find-me", fmt.Sprint("attempt ", i), "no_answer", "maybe"
		})
	}
	seen, path := map[string]bool{}, "/v1/dead-letters?device=find-me&limit=2&counts=true"
	for after, pages := "", 0; ; pages++ {
		a := w.do("GET", path+after, "")
		w.expect(a, 200, "")
		var page struct {
			Letters []struct {
				LetterID string `json:"letter_id"`
			}
			Counts map[string]int
			Next   string
		}
		w.into(a, &page)
		for _, l := range page.Letters {
			seen[l.LetterID] = true
		}
		if page.Counts["open"] != 5 {
			t.Errorf("counts %v", page.Counts)
		}
		if page.Next == "" {
			break
		}
		after = "&after=" + url.QueryEscape(page.Next)
	}
	if len(seen) != 5 {
		t.Errorf("%d letters on all pages", len(seen))
	}
	a := w.do("GET", "/v1/dead-letters/groups?device=find-me", "")
	var causes struct {
		Groups []struct {
			Cause     string
			Count     int
			PerMinute float64 `json:"per_minute"`
		}
	}
	w.into(a, &causes)
	if len(causes.Groups) != 1 || causes.Groups[0].Count != 5 || causes.Groups[0].Cause != "attempt #" || causes.Groups[0].PerMinute != 1 {
		t.Errorf("groups %v", a)
	}
	for query, field := range map[string]string{
		"devices=x": "devices", "state=dead": "state", "from=yesterday": "from", "command_id=1": "command_id", "sort=size": "sort", "after=x": "after",
		"limit=0": "limit", "counts=maybe": "counts", "device=a&device=b": "device", "group=%00": "group", "text=%00": "text",
	} {
		a := w.do("GET", "/v1/dead-letters?"+query, "")
		if w.expect(a, 400, "invalid_parameter"); !strings.Contains(a.body, `"field":"`+field+`"`) {
			t.Errorf("%s: %v", query, a)
		}
	}
	w.expect(w.do("GET", "/v1/audit?after=x", ""), 400, "invalid_parameter")
	w.expect(w.do("GET", "/v1/audit?limt=3", ""), 400, "invalid_parameter")
}

func tenantsLetters(t *testing.T, w *world) {
	garbage := w.bury(func(l *deadletter.Letter) { l.Tenant = topology.SystemTenant })
	for _, path := range []string{"/v1/dead-letters?tenant=system", "/v1/audit?tenant=other", "/v1/queues", "/v1/dead-letters/" + garbage + "?tenant=system"} {
		w.expect(w.do("GET", path, ""), 403, "forbidden")
	}
	w.expect(w.do("GET", "/v1/dead-letters/"+garbage, ""), 404, "unknown_letter")
	platform, reader := *w, *w
	platform.key = w.newKey("acme", "chief", auth.OpsRead, auth.OpsWrite, auth.OpsPlatform)
	if a := platform.do("GET", "/v1/dead-letters?tenant=system", ""); a.status != 200 || !strings.Contains(a.body, garbage) {
		t.Errorf("%v", a)
	}
	platform.expect(platform.do("POST", "/v1/dead-letters/"+garbage+"/discard?tenant=system", why), 200, "")
	reader.key = w.newKey("acme", "reader", auth.OpsRead)
	reader.expect(reader.do("POST", "/v1/dead-letters/"+garbage+"/discard", why), 403, "forbidden")
}

// A redrive in doubt is finished with the very same command id, by whoever takes it up.
func TestRedriveIsTakenUp(t *testing.T) {
	t.Parallel()
	w := prepare(t)
	w.putDevice(device.Device{Tenant: "acme", ID: "lamp-1", Type: "lamp"})
	id := uuid.MustParse(w.bury(nil))
	plan := deadletter.Plan{CommandID: must(uuid.NewV7()), Lane: "default", DeviceType: "lamp", Driver: "mqtt", Timeout: time.Second, TTL: time.Minute}
	must(deadletter.New(w.pool).Begin(t.Context(), "acme", id, deadletter.Act{Actor: "ann", Reason: "r"}, plan, []byte("s:c-1")))
	must(w.pool.Exec(t.Context(), "update dead_letters set leased_until = now() - interval '1s'")) // its process is long dead
	w.start(func(*Settings) {})
	w.waitReady()
	m := w.broker.Get(t, topology.WorkQueue("default"))
	if m.ID != plan.CommandID.String() {
		t.Errorf("published %s, want %s", m.ID, plan.CommandID)
	}
	brokertest.Eventually(t, "the letter is redriven", func() bool { return w.letterOf(id.String()).State == "redriven" })
}

func TestQueues(t *testing.T) {
	t.Parallel()
	for name, management := range map[string]bool{"management": true, "declare": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world, s *Settings) {
				if management {
					s.ManagementURL = settings.Secret(w.broker.ManagementURL())
				}
			})
			w.key = w.newKey("acme", "chief", auth.OpsPlatform, auth.CommandsSend)
			w.expect(w.post("lamp-1", `{"jsonrpc":"2.0","method":"host.info"}`, "Cupline-TTL", "10m"), 202, "")
			var picture struct {
				Source string
				Queues []struct {
					Queue, Kind string
					Ready       int
					Unacked     *int
				}
			}
			brokertest.Eventually(t, "the command is seen", func() bool {
				picture.Queues = nil
				a := w.do("GET", "/v1/queues", "")
				w.expect(a, 200, "")
				w.into(a, &picture)
				for _, q := range picture.Queues {
					if q.Queue == "cupline.work.default" && q.Kind == "lane" && q.Ready == 1 && (q.Unacked != nil) == management {
						return true
					}
				}
				return false
			})
			if picture.Source != name {
				t.Errorf("%+v", picture)
			}
		})
	}
}
