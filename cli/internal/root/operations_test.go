package root_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/clients/go/cuplinetest"
)

const aLetter = `{"letter_id":"0190b1f0-0000-7000-8000-00000000000a","state":"open","reason":"no_answer","executed":"maybe","detail":"late",
	"cause":"late","group":"g-1","client":"web","id":"c-1","device":"lamp-1","device_type":"lamp","method":"relay.set","lane":"default",
	"died_at":"2026-01-02T03:04:05Z","redrive":0}`

func TestDeadLettersAreListedPageByPage(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	var asked atomic.Int32
	p.Handle("GET /v1/dead-letters", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("state") != "open" || q.Get("device_type") != "lamp" || q.Get("from") == "" {
			t.Errorf("asked for %v", q)
		}
		next := `,"next":"n-1"`
		if asked.Add(1)%2 == 0 {
			next = ""
			if q.Get("after") != "n-1" {
				t.Errorf("the second page was asked for with %v", q)
			}
		}
		_, _ = io.WriteString(w, `{"letters":[`+aLetter+`]`+next+`}`)
	})
	args := []string{"dead-letters", "list", "--state", "open", "--device-type", "lamp", "--since", "1h"}
	e := execute(t.Context(), on(p), "", args...)
	if e.code != exit.OK || strings.Count(e.out, "no_answer") != 2 || !strings.HasPrefix(e.out, "LETTER ") {
		t.Errorf("ends with %+v", e)
	}
	e = execute(t.Context(), on(p), "", append(args, "-o", "json")...)
	if e.code != exit.OK || strings.Count(e.out, "\n") != 2 || !strings.HasPrefix(e.out, `{"letter_id":`) {
		t.Errorf("ends with %+v", e)
	}
}

func TestFollowShowsEachLetterOnce(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var asked atomic.Int32
	died := time.Now().UTC().Format(time.RFC3339Nano)
	p.Handle("GET /v1/dead-letters", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 3 {
			interrupt()
		}
		_, _ = io.WriteString(w, `{"letters":[`+strings.Replace(aLetter, "2026-01-02T03:04:05Z", died, 1)+`]}`)
	})
	e := <-launch(ctx, p, "dead-letters", "list", "--follow", "-o", "json")
	if e.code != exit.OK || strings.Count(e.out, "\n") != 1 {
		t.Errorf("ends with %+v", e)
	}
}

func TestRedriveTellsOfEachLetter(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	p.Handle("POST /v1/dead-letters/{letter}/redrive", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"reason":"it is back","actor":"ann","include_maybe":true}` {
			t.Errorf("posted %s", body)
		}
		if r.PathValue("letter") == "b" {
			cuplinetest.Problem(409, "letter_state", "the letter is redriven, by bob")(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"letter_id":"a","state":"redriven","redriven_as":"cmd-2","redrive_number":1}`)
	})
	e := execute(t.Context(), on(p), "", "dead-letters", "redrive", "a", "b", "--reason", "it is back", "--actor", "ann", "--include-maybe")
	if e.code != exit.Refused || e.out != "a is redriven as command cmd-2, redrive 1\n" || !strings.Contains(e.errs, "letter b") || !strings.Contains(e.errs, "by bob") {
		t.Errorf("ends with %+v", e)
	}
	if e := execute(t.Context(), on(p), "", "dead-letters", "redrive", "a"); e.code != exit.Usage {
		t.Errorf("without a reason it ends with %+v", e)
	}
}

func TestShowGroupsHistoryAuditQueues(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	whole := strings.TrimSuffix(aLetter, "}") + `,"payload":"ff00","payload_encoding":"hex","properties":{},"headers":{},"deaths":[],"told":null,
		"delivered_at":null,"events":[{"at":"2026-01-02T03:04:05Z","event":"started"}],"related":[` + aLetter + `]}`
	p.Handle("GET /v1/dead-letters/{letter}", answer(whole))
	p.Handle("GET /v1/dead-letters/groups", answer(`{"groups":[{"group":"g-1","reason":"no_answer","device_type":"lamp","method":"relay.set",
		"cause":"late","count":7,"open":6,"maybe":5,"first_at":"2026-01-02T03:04:05Z","last_at":"2026-01-02T03:04:05Z","per_minute":1.4}]}`))
	p.Handle("GET /v1/commands/{command}/history", answer(`{"command_id":"cmd-1","client":"web","letters":[`+aLetter+`],"events":[{"at":"2026-01-02T03:04:05Z","event":"accepted"}]}`))
	p.Handle("GET /v1/audit", answer(`{"entries":[{"at":"2026-01-02T03:04:05Z","stage":"operator","action":"discard","actor":"ann"}]}`))
	p.Handle("GET /v1/queues", answer(`{"source":"declare","missing":"no management API is set","queues":[{"queue":"cupline.dead","kind":"dead",
		"ready":3,"unacked":null,"consumers":1,"publish_rate":null,"ack_rate":null,"dead_lettering":null,"oldest_at":null}]}`))
	for _, c := range []struct {
		args string
		says []string
	}{
		{"dead-letters show x", []string{"executed: maybe", `"ff00"`, "started", "related letters", "told        nobody"}},
		{"dead-letters groups", []string{"g-1", "1.4", "late"}},
		{"history cmd-1", []string{"accepted", "is open"}},
		{"audit", []string{"discard", "ann"}},
		{"queues", []string{"cupline.dead  dead  3      -        1"}},
	} {
		e := execute(t.Context(), on(p), "", strings.Fields(c.args)...)
		for _, said := range c.says {
			if e.code != exit.OK || !strings.Contains(e.out, said) {
				t.Errorf("%s: no %q in %+v", c.args, said, e)
			}
		}
		if e := execute(t.Context(), on(p), "", append(strings.Fields(c.args), "-o", "json")...); e.code != exit.OK || !strings.HasPrefix(e.out, "{") && !strings.HasPrefix(e.out, "[") {
			t.Errorf("%s as JSON ends with %+v", c.args, e)
		}
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	state := func(state string, waiting int) string {
		return fmt.Sprintf(`{"job_id":"j-1","kind":"redrive","state":%q,"total":4,"waiting":%d,"results":{"redriven":%d}}`, state, waiting, 4-waiting)
	}
	p.Handle("POST /v1/dead-letter-jobs", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Query().Get("tenant") != "acme" || !strings.HasPrefix(string(body), `{"kind":"redrive","filter":{"device":"lamp-1"},"reason":`) {
			t.Errorf("posted %s to %s", body, r.URL)
		}
		if strings.Contains(string(body), `"dry_run":true`) {
			_, _ = io.WriteString(w, `{"dry_run":true,"letters":4,"maybe":1,"held":3,"older_than_a_day":2,"groups":[]}`)
			return
		}
		_, _ = io.WriteString(w, state("running", 4))
	})
	var asked atomic.Int32
	p.Handle("GET /v1/dead-letter-jobs/{job}", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			_, _ = io.WriteString(w, state("running", 2))
			return
		}
		_, _ = io.WriteString(w, state("done", 0))
	})
	p.Handle("POST /v1/dead-letter-jobs/{job}/pause", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, state("paused", 1)) })
	p.Handle("GET /v1/dead-letter-jobs/{job}/items", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"items":[{"position":1,"letter_id":"l-1","result":"skipped","detail":"device_gone: x"}]}`)
	})
	start := "dead-letters job start redrive --device lamp-1 --tenant acme"
	for args, said := range map[string]string{
		start + " --dry-run":                        "would redrive 4 letters; 1 may have been executed, 3 are held, 2 died more than a day ago",
		start + " --why back --actor ann":           "job j-1 (redrive) is running: 0 of 4 letters done, 0 redriven",
		"dead-letters job pause j-1 --reason lunch": "is paused: 3 of 4",
		"dead-letters job items j-1":                "skipped  -        device_gone: x",
		start + " --why back --actor ann --wait":    "is done: 4 of 4 letters done, 4 redriven",
	} {
		if e := execute(t.Context(), on(p), "", strings.Fields(args)...); e.code != exit.OK || !strings.Contains(e.out, said) {
			t.Errorf("%s: %+v", args, e)
		} else if strings.HasSuffix(args, "--wait") && (!strings.Contains(e.errs, "2 of 4") || !strings.Contains(e.errs, "4 of 4")) {
			t.Errorf("no progress, or not to its end: %+v", e)
		}
	}
	for _, args := range []string{"dead-letters job start redrive --why x", "dead-letters job start purge --device d --why x", start, start + " --why nobody-says-who"} {
		if e := execute(t.Context(), on(p), "", strings.Fields(args)...); e.code != exit.Usage {
			t.Errorf("%s: %+v", args, e)
		}
	}
}

// Who watches a job and is interrupted is told that it goes on, and how to hold it.
func TestAJobGoesOnUnwatched(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	ctx, interrupt := context.WithCancel(t.Context())
	const running = `{"job_id":"j-1","kind":"redrive","state":"running","total":400,"waiting":300,"rate":10}`
	p.Handle("POST /v1/dead-letter-jobs", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, running) })
	p.Handle("GET /v1/dead-letter-jobs/{job}", func(w http.ResponseWriter, _ *http.Request) {
		interrupt()
		_, _ = io.WriteString(w, running)
	})
	e := <-launch(ctx, p, "dead-letters", "job", "start", "redrive", "--device", "d", "--tenant", "acme", "--why", "back", "--actor", "ann", "--wait")
	for _, said := range []string{"100 of 400, 30s left", "job j-1 goes on", "job show j-1 --tenant acme\n", "job pause j-1 --tenant acme --reason WHY"} {
		if e.code != exit.Interrupted || e.out != "" || !strings.Contains(e.errs, said) {
			t.Errorf("no %q: %+v", said, e)
		}
	}
}

func TestActionsOnLetters(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	expect := func(pattern, body, answered string) {
		p.Handle(pattern, func(w http.ResponseWriter, r *http.Request) {
			if sent, _ := io.ReadAll(r.Body); string(sent) != body {
				t.Errorf("%s was sent %s", pattern, sent)
			}
			_, _ = io.WriteString(w, answered)
		})
	}
	expect("POST /v1/dead-letters/e/redrive", `{"reason":"","params":{"on":true},"dry_run":true}`,
		`{"dry_run":true,"letter_id":"e","changes":[{"at":"/on","old":"yes","new":true}]}`)
	expect("POST /v1/dead-letters/u/undo", `{"reason":"oops"}`, `{"letter_id":"u","state":"open"}`)
	expect("POST /v1/dead-letters/n/notes", `{"note":"asked the shop"}`, `{"note_id":"1","at":"2026-01-02T03:04:05Z","actor":"ann","note":"asked the shop"}`)
	p.Handle("GET /v1/dead-letter-groups/g/notes", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"notes":[{"note_id":"1","at":"2026-01-02T03:04:05Z","actor":"bob","note":"the mast"}]}`)
	})
	expect("POST /v1/dead-letter-groups/g/marks", `{"add_tags":["storm"],"assignee":"ann"}`, `{"assignee":"ann","tags":["storm"]}`)
	p.Handle("GET /v1/dead-letter-jobs", func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("state") != "paused" || q.Get("limit") != "20" {
			t.Errorf("asked for %v", q)
		}
		_, _ = io.WriteString(w, `{"jobs":[{"job_id":"j-1","kind":"redrive","state":"paused","total":5,"waiting":3,"outcomes":{"no_answer":2},"stopped":"2 of 2"}]}`)
	})
	for args, said := range map[string]string{
		"dead-letters redrive e --params {\"on\":true} --dry-run": "e would be redriven\n- params/on: \"yes\"\n+ params/on: true\n",
		"dead-letters undo u --reason oops":                       "u is open",
		"dead-letters note --group g":                             "bob    the mast",
		"dead-letters mark --group g --tag storm --assignee ann":  "g   ann       storm",
		"dead-letters job list --state paused":                    "paused  2/5   2 no_answer",
		"dead-letters note n asked\u00a0the\u00a0shop":            "asked the shop",
	} {
		words := strings.Fields(strings.ReplaceAll(args, "\u00a0", "_"))
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "_", " ")
		}
		if e := execute(t.Context(), on(p), "", words...); e.code != exit.OK || !strings.Contains(e.out, said) {
			t.Errorf("%s: %+v", args, e)
		}
	}
	for _, args := range []string{"dead-letters redrive a", "dead-letters redrive a --reason r --params {", "dead-letters redrive a b --reason r --params {}", "dead-letters mark a --nobody --assignee x"} {
		if e := execute(t.Context(), on(p), "", strings.Fields(args)...); e.code != exit.Usage {
			t.Errorf("%s: %+v", args, e)
		}
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	p := cuplinetest.New(t)
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	const paused = `"paused":{"at":"2026-01-02T03:04:05Z","by":"ann","why":"cable"}`
	drain := func(state string, done int) string {
		return fmt.Sprintf(`{"drain_id":"d-1","lane":"slow","state":%q,"rate":5,"total":4,"done":%d,"actor":"ann","reason":"old","created_at":"2026-01-02T03:04:05Z"}`, state, done)
	}
	p.Handle("POST /v1/devices/lamp-1/pause", answer(`{"device":"lamp-1","type":"lamp",`+paused+`}`))
	p.Handle("GET /v1/devices/lamp-1", answer(`{"device":"lamp-1","type":"lamp",`+paused+`}`))
	p.Handle("POST /v1/devices/lamp-1/resume", answer(`{"device":"lamp-1","type":"lamp"}`))
	p.Handle("POST /v1/lanes/slow/pause", answer(`{"lane":"slow",`+paused+`}`))
	var asked atomic.Int32
	p.Handle("POST /v1/lanes/slow/drain", func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "dry_run") {
			_, _ = io.WriteString(w, `{"dry_run":true,"lane":"slow","waiting":4}`)
			return
		}
		_, _ = io.WriteString(w, drain("running", 1))
	})
	p.Handle("GET /v1/drains/d-1", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			_, _ = io.WriteString(w, drain("running", 2))
			return
		}
		_, _ = io.WriteString(w, drain("done", 4))
	})
	p.Handle("GET /v1/drains", answer(`{"drains":[`+drain("cancelled", 3)+`]}`))
	p.Handle("POST /v1/drains/d-1/cancel", answer(drain("cancelled", 3)))
	const open = `"command_id":"c-1","client":"web","id":"i-1","device":"lamp-1","method":"m","started_at":"2026-01-02T03:04:05Z","overdue_at":"2026-01-02T03:04:15Z"`
	p.Handle("GET /v1/open-commands", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("overdue") != "2h" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = io.WriteString(w, `{"commands":[{`+open+`,"state":"open"}]}`)
	})
	p.Handle("POST /v1/open-commands/c-1/settle", answer(`{`+open+`,"state":"decided","reason":"worker_lost"}`))
	for _, c := range []struct{ args, said, aside string }{
		{"devices pause lamp-1 --reason cable", "device lamp-1 is paused by ann: cable", ""},
		{"devices get lamp-1", "paused by ann: cable", ""},
		{"devices resume lamp-1 --reason done", "device lamp-1 is taken", ""},
		{"lanes pause slow --reason cable", "lane slow is paused", ""},
		{"lanes drain slow --dry-run", "would discard 4 commands", ""},
		{"lanes drain slow --reason old --wait", "slow  done   4     4", "2 of 4"},
		{"lanes drains", "cancelled  3     4", ""},
		{"lanes drains d-1 -o json", `"state":"done"`, ""},
		{"lanes cancel-drain d-1 --reason stop", "cancelled", ""},
		{"commands open --overdue 2h", "lamp-1  m       web     \"i-1\"", ""},
		{"commands settle c-1 --reason gone", "c-1 is decided worker_lost", ""},
	} {
		if e := execute(t.Context(), on(p), "", strings.Fields(c.args)...); e.code != exit.OK || !strings.Contains(e.out, c.said) || !strings.Contains(e.errs, c.aside) {
			t.Errorf("%s: %+v", c.args, e)
		}
	}
}
