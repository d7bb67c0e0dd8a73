package suite_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/e2e/faults/suite"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/summary"
)

func TestARunIsSummedUp(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	post := history.Event{At: at, Kind: history.Post, Tenant: "t", Client: "online", ID: "1", CommandID: "c1", Answer: history.Accepted}
	refused := history.Event{At: at, Kind: history.Post, Tenant: "t", Client: "online", ID: "2", Answer: history.Refused, Status: 503}
	got := history.Event{At: at.Add(2 * time.Second), Kind: history.Outcome, Tenant: "t", Client: "online", ID: "1", CommandID: "c1", Origin: "device"}
	redriven := got
	redriven.At, redriven.CommandID, redriven.Redrive = at.Add(time.Hour), "c2", 1
	again := got
	again.At = at.Add(time.Minute)
	report := summary.Of([]history.Event{
		{Kind: history.Run, Name: "7", Count: 3}, got, post, post, refused, again, redriven,
		{Kind: history.Letter, Tenant: "t", Client: "online", ID: "1", CommandID: "c1", As: "c2", Redrive: 1, Name: "redriven", Executed: "no"},
		{Kind: history.Execution, Tenant: "t", CommandID: "c1"},
		{Kind: history.Fault, Name: "api-0", Of: "api", Detail: "kill", At: at.Add(time.Second), Took: time.Minute},
		{Kind: history.Fault, Name: "api-1", Detail: "cut", At: at.Add(3 * time.Second), Took: time.Minute},
		{Kind: history.Queue, Name: "q", Count: 1},
	})
	if report.Commands != 1 || report.Copies != 1 || report.Executions != 1 || report.Longest != 2*time.Second ||
		report.Posts[history.Refused] != 1 || report.Faults["kill"] != 1 || len(report.During) != 1 || report.During["kill"] != 2*time.Second || len(report.Violations) != 1 {
		t.Errorf("summed up as %+v", report)
	}
	if page := suite.Page([]summary.Report{report}); !strings.Contains(page, "| 7 | 3 | 2 | 1 | 0 | 1 | 0 | 0 | 1 | 0 | 1 | 2 | 0 | 1 | 2s | 0s | 1 |") {
		t.Errorf("the page has no such line:\n%s", page)
	}
	if page := suite.Page([]summary.Report{report}); !strings.Contains(page, "| kill | 1 | api ×1 | - | 2s |") {
		t.Errorf("the page does not say what was killed:\n%s", page)
	}
	if text := report.String(); !strings.Contains(text, "I7: queue q") || !strings.Contains(text, "kill 1") {
		t.Errorf("the report says %s", text)
	}
}
