package checker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/verify/checker"
	"github.com/cupline/cupline/verify/history"
)

const (
	answerA = `{"jsonrpc":"2.0","id":"a","result":1}`
	never   = `{"jsonrpc":"2.0","id":"f","error":{}}`
)

// good is a history with nothing wrong: an answered command, one that was posted twice, one
// that failed, one that was refused, a one-way one, and one in doubt that was executed.
func good() []history.Event {
	post := func(id, command, answer string, status int) history.Event {
		return history.Event{Kind: history.Post, Tenant: "t", Client: "c", ID: id, CommandID: command, Device: "d",
			Method: "m", Tag: "tag " + id, Answer: answer, Status: status}
	}
	got := func(id, command, response string) history.Event {
		return history.Event{Kind: history.Outcome, Tenant: "t", Client: "c", ID: id, CommandID: command, Device: "d",
			Method: "m", Response: response, Origin: "device"}
	}
	ran := func(id, command string) history.Event {
		return history.Event{Kind: history.Execution, Tenant: "t", Device: "d", Tag: "tag " + id, CommandID: command}
	}
	row := func(id, command, reason string) history.Event {
		return history.Event{Kind: history.Ledger, Tenant: "t", Client: "c", ID: id, CommandID: command, Reason: reason, Decided: true}
	}
	oneWay := post("", "5", history.Accepted, 202)
	oneWay.OneWay, oneWay.Tag = true, "tag one way"
	oneWayRow := row("5", "5", "")
	oneWayRow.OneWay = true
	failed := got("f", "3", never)
	failed.Origin, failed.Reason, failed.Executed = "platform", "device_offline", "no"
	died := func(id, command string, n int) history.Event {
		e := got(id, command, never)
		e.Origin, e.Reason, e.Executed, e.Redrive = "platform", "no_answer", "maybe", n
		return e
	}
	letter := history.Event{Kind: history.Letter, Tenant: "t", Client: "c", ID: "d", CommandID: "8", Name: "redriven", Executed: "maybe",
		As: "9", Redrive: 1, Detail: history.WithMaybe}
	again, redrive := got("d", "9", answerA), row("d", "9", "")
	again.Redrive, redrive.Redrive = 1, 1
	delivered := row("a", "1", "")
	delivered.Delivered, delivered.Origin = true, "device"
	return []history.Event{
		post("a", "1", history.Accepted, 202), post("a", "2", history.Accepted, 202), ran("a", "1"),
		got("a", "1", answerA), got("a", "1", answerA), got("a", "2", answerA), delivered,
		post("f", "3", history.Accepted, 202), failed, row("f", "3", "device_offline"),
		{Kind: history.Letter, CommandID: "3", Name: "open"},
		{Kind: history.Audit, Tenant: "t", Client: "c", ID: "f", CommandID: "3", Name: "recorder", Reason: "device_offline"},
		post("r", "4", history.Refused, 503),
		oneWay, oneWayRow,
		post("q", "", history.InDoubt, 0), ran("q", "6"), got("q", "6", answerA), row("q", "6", ""),
		{Kind: history.Mailbox, Tenant: "t", Client: "c", ID: "q", CommandID: "6", Delivered: true},
		post("d", "8", history.Accepted, 202), ran("d", "8"), died("d", "8", 0), row("d", "8", "no_answer"), letter,
		{Kind: history.Audit, Tenant: "t", Client: "c", ID: "d", CommandID: "8", Name: "recorder", Reason: "no_answer"},
		ran("d", "9"), again, redrive,
		{Kind: history.Queue, Name: "cupline.work.default"},
		{Kind: history.Service, Name: "api-0", Took: time.Second},
	}
}

func TestAGoodHistoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, v := range checker.Check(good()) {
		t.Error(v)
	}
}

// find is the place of the first event of that kind and command id, or else client's id.
func find(events []history.Event, kind history.Kind, id string) *history.Event {
	i := slices.IndexFunc(events, func(e history.Event) bool { return e.Kind == kind && (e.CommandID == id || e.ID == id) })
	return &events[i]
}

func drop(events []history.Event, kind history.Kind, id string) []history.Event {
	return slices.DeleteFunc(events, func(e history.Event) bool { return e.Kind == kind && (e.CommandID == id || e.ID == id) })
}

// Each broken history differs from the good one in one thing, which the checker has to name.
func TestABrokenHistoryIsComplainedOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		invariant, text string
		spoil           func([]history.Event) []history.Event
	}{
		"an outcome is lost": {"I1", "no outcome reached", func(e []history.Event) []history.Event {
			find(e, history.Ledger, "1").Delivered = false
			return drop(e, history.Outcome, "a")
		}},
		"a command is in no account": {"I1", "neither in flight nor ended", func(e []history.Event) []history.Event {
			return drop(e, history.Ledger, "3")
		}},
		"a claim stays open": {"I1", "still open", func(e []history.Event) []history.Event {
			find(e, history.Ledger, "6").Decided = false
			return e
		}},
		"a one-way command vanishes": {"I1", "neither in the ledger", func(e []history.Event) []history.Event {
			return drop(e, history.Ledger, "5")
		}},
		"two outcomes of one command": {"I2", "two outcomes:", func(e []history.Event) []history.Event {
			find(e, history.Outcome, "1").Response = never
			return e
		}},
		"two outcomes of one id": {"I2", "under one id", func(e []history.Event) []history.Event {
			find(e, history.Outcome, "2").Response = never
			return e
		}},
		"copies without end": {"I2", "more than", func(e []history.Event) []history.Event {
			return append(e, slices.Repeat([]history.Event{*find(e, history.Outcome, "1")}, 20)...)
		}},
		"executed twice": {"I3", "executed 2 times or more", func(e []history.Event) []history.Event {
			return append(e, *find(e, history.Execution, "1"))
		}},
		"executed by a repeated post": {"I3", "executed 2 times or more", func(e []history.Event) []history.Event {
			again := *find(e, history.Execution, "1")
			again.CommandID = "2"
			return append(e, again)
		}},
		"executed though it says no": {"I3", "says not executed", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Execution, Tenant: "t", Device: "d", Tag: "tag f", CommandID: "3"})
		}},
		"no dead letter": {"I4", "0 dead letters", func(e []history.Event) []history.Event {
			return drop(e, history.Letter, "3")
		}},
		"nothing in the audit trail": {"I4", "audit trail", func(e []history.Event) []history.Event {
			return drop(e, history.Audit, "3")
		}},
		"another reason in the audit trail": {"I4", "audit trail", func(e []history.Event) []history.Event {
			find(e, history.Audit, "3").Reason = "expired"
			return e
		}},
		"another id in the audit trail": {"I4", "audit trail", func(e []history.Event) []history.Event {
			find(e, history.Audit, "3").ID = "a"
			return e
		}},
		"no stage in the audit trail": {"I4", "audit trail", func(e []history.Event) []history.Event {
			find(e, history.Audit, "3").Name = ""
			return e
		}},
		"another time in the audit trail": {"I4", "audit trail", func(e []history.Event) []history.Event {
			entry := find(e, history.Audit, "3")
			entry.At = entry.At.Add(time.Hour)
			return e
		}},
		"a dead letter in no state": {"I4", "which there is not", func(e []history.Event) []history.Event {
			find(e, history.Letter, "3").Name = "lost"
			return e
		}},
		"two dead letters of one command": {"I4", "2 dead letters", func(e []history.Event) []history.Event {
			return append(e, *find(e, history.Letter, "3"))
		}},
		"refused and executed": {"I5", "refused, and executed", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Execution, Tenant: "t", Device: "d", Tag: "tag r", CommandID: "4"})
		}},
		"refused and answered": {"I5", "got an outcome", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Outcome, Tenant: "t", Client: "c", ID: "r", Device: "d", Method: "m"})
		}},
		"refused for nothing": {"I5", "refused with 401", func(e []history.Event) []history.Event {
			find(e, history.Post, "4").Status = 401
			return e
		}},
		"an outcome of nothing": {"I5", "never accepted", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Outcome, Tenant: "t", Client: "c", ID: "z"})
		}},
		"an execution of nothing": {"I5", "nobody sent", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Execution, Tenant: "t", Device: "d", CommandID: "99"})
		}},
		"another client's outcome": {"I6", "is that of t/c", func(e []history.Event) []history.Event {
			stray := *find(e, history.Outcome, "1")
			stray.Client = "other"
			return append(e, stray)
		}},
		"another tenant's mailbox": {"I6", "is that of t/c", func(e []history.Event) []history.Event {
			stray := *find(e, history.Mailbox, "6")
			stray.Tenant = "other"
			return append(e, stray)
		}},
		"another command's outcome": {"I6", "the outcome is that of", func(e []history.Event) []history.Event {
			find(e, history.Outcome, "3").CommandID = "1"
			return e
		}},
		"executed by another device": {"I6", "executed by x", func(e []history.Event) []history.Event {
			find(e, history.Execution, "1").Device = "x"
			return e
		}},
		"an ack of another delivery": {"I6", "never got it", func(e []history.Event) []history.Event {
			find(e, history.Ledger, "6").Delivered = true
			find(e, history.Outcome, "6").CommandID = "7"
			return e
		}},
		"executed twice by a redrive": {"I3", "as redrive 1", func(e []history.Event) []history.Event {
			return append(e, *find(e, history.Execution, "9"))
		}},
		"a redrive that nobody allowed": {"I3", "did not say so", func(e []history.Event) []history.Event {
			find(e, history.Letter, "8").Detail = history.WithoutMaybe
			return e
		}},
		"a redrive without an outcome": {"I1", "redriven, and no outcome", func(e []history.Event) []history.Event {
			return drop(e, history.Outcome, "9")
		}},
		"a redrive that is never finished": {"I4", "never finished", func(e []history.Event) []history.Event {
			find(e, history.Letter, "8").Name = "redriving"
			return e
		}},
		"a redrive's outcome is not marked": {"I2", "marked redrive 0", func(e []history.Event) []history.Event {
			find(e, history.Outcome, "9").Redrive = 0
			return e
		}},
		"a redrive executed though it says no": {"I3", "says not executed", func(e []history.Event) []history.Event {
			o := find(e, history.Outcome, "9")
			o.Origin, o.Reason, o.Executed = "platform", "device_offline", "no"
			return e
		}},
		"a time-to-live by a wrong clock": {"I5", "is wrong by 1h0m0s", func(e []history.Event) []history.Event {
			p := find(e, history.Post, "3")
			p.TTL, p.Expires = time.Minute, p.At.Add(time.Hour+time.Minute)
			return e
		}},
		"expired before its time": {"I5", "and was to live 1m0s", func(e []history.Event) []history.Event {
			p, o := find(e, history.Post, "3"), find(e, history.Outcome, "3")
			p.At = time.Unix(1000, 0)
			p.TTL, p.Expires = time.Minute, p.At.Add(time.Minute)
			o.At, o.Reason = p.At.Add(time.Second), "expired"
			return e
		}},
		"an operator is refused for nothing": {"I5", "redrive was refused with 500", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Action, Tenant: "t", Name: "redrive", Answer: history.Refused, Status: 500})
		}},
		"goroutines are left over": {"I7", "goroutines of api-0: 30 at first, 300", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Census, Name: "goroutines of api-0", Before: 30, Count: 300})
		}},
		"a queue is not empty": {"I7", "still holds 2", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Queue, Name: "q", Count: 2})
		}},
		"a dead letter is stuck": {"I7", "cannot pass on", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Queue, Name: "q", Stuck: 1})
		}},
		"a binding is left": {"I7", "the binding of t.c", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Binding, Name: "t.c"})
		}},
		"a slot is left": {"I7", "slot spare-1 is left", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Slot, Name: "spare-1"})
		}},
		"a service comes late": {"I7", "took 31s", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Service, Name: "api-0", Took: 31 * time.Second})
		}},
		"a service never comes": {"I7", "not ready", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.Service, Name: "api-0", Detail: "503"})
		}},
		"a client is sent away": {"I7", "for good", func(e []history.Event) []history.Event {
			return append(e, history.Event{Kind: history.GaveUp, Tenant: "t", Client: "c", Detail: "4001"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := checker.Check(c.spoil(good()))
			if !slices.ContainsFunc(found, func(v checker.Violation) bool {
				return v.Invariant == c.invariant && strings.Contains(v.String(), c.text)
			}) {
				t.Errorf("no %s %q among %v", c.invariant, c.text, found)
			}
		})
	}
}

// A post in doubt whose id was another's is in no row of the ledger: its dead letter alone leads from it to its redrive.
func TestARedriveOfAPostInDoubtIsKnown(t *testing.T) {
	t.Parallel()
	lost := history.Event{Kind: history.Post, Tenant: "t", Client: "c", ID: "a", Device: "d", Method: "m", Answer: history.InDoubt}
	got := history.Event{Kind: history.Outcome, Tenant: "t", Client: "c", ID: "a", CommandID: "21", Redrive: 1, Device: "d", Method: "m",
		Response: answerA, Origin: "device"}
	letter := history.Event{Kind: history.Letter, Tenant: "t", Client: "c", ID: "a", CommandID: "20", Name: "redriven", Executed: "no", As: "21", Redrive: 1,
		Reason: "duplicate_id"}
	row := history.Event{Kind: history.Ledger, Tenant: "t", Client: "c", ID: "a", CommandID: "21", Redrive: 1, Decided: true}
	for _, v := range checker.Check(append(good(), lost, got, letter, row)) {
		t.Error(v)
	}
}

// What a run could not look at it does not miss.
func TestWhatWasNotLookedAtIsNotMissed(t *testing.T) {
	t.Parallel()
	events := drop(drop(good(), history.Letter, "3"), history.Audit, "3")
	if found := checker.Check(events); len(found) != 2 {
		t.Errorf("without letters and audit trail: %v", found)
	}
	events = append(events, history.Event{Kind: history.Unseen, Name: string(history.Letter)}, history.Event{Kind: history.Unseen, Name: string(history.Audit)})
	for _, v := range checker.Check(events) {
		t.Error(v)
	}
}
