package report

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func state(r Report, text string) State {
	for _, t := range r.Targets() {
		if strings.HasPrefix(t.Text, text) {
			return t.State
		}
	}
	return ""
}

// A target that was not measured is not reached, and one that was counts at the size that it speaks of.
func TestTargets(t *testing.T) {
	t.Parallel()
	r := sample()
	for text, want := range map[string]State{"outcomes pushed": Reached, "ceiling without": NotMeasured, "mailbox drained": NotMeasured} {
		if got := state(r, text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	r.Runs = append(r.Runs, ceiling("ledger", 1, 1000, 0.4, r.Runs[1].Reading.Costs...),
		Run{Case: "drain", Kind: Trial, Figures: []Figure{{"mailbox drained", "1,000 outcomes to 1 client", 90_000, "per s"}}},
		Run{Case: "sockets", Kind: Trial, Figures: []Figure{{"pusher's RSS per idle connection", "18,000 clients", 9.5, "KiB"}}})
	for text, want := range map[string]State{
		"ceiling with the": NotReached, "CPU-seconds per 1,000 commands with the": Reached, "mailbox drained": NotMeasured, "RSS per idle": NotReached,
	} {
		if got := state(r, text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// A figure has moved only when all of its runs lie beyond all of the baseline's.
func TestCompare(t *testing.T) {
	t.Parallel()
	before, after := sample(), sample()
	after.Runs[1] = ceiling("mqtt", 1, 2900, 0.9, after.Runs[1].Reading.Costs...)
	after.Runs[2] = ceiling("mqtt", 2, 3500, 0.8, after.Runs[2].Reading.Costs...)
	got := map[string]Verdict{}
	for _, c := range Compare(before, after) {
		got[c.Case+" "+c.What] = c.Verdict
	}
	for what, want := range map[string]Verdict{
		"mqtt per s": WithinNoise, "mqtt of plain": Better, "plain per s": SingleRuns, "push outcomes 1,000 clients, per s": SingleRuns,
		"latency-mqtt at 50 % p99 ms": SingleRuns,
	} {
		if got[what] != want {
			t.Errorf("%s: %q, want %q", what, got[what], want)
		}
	}
	if v := judge([]float64{1, 2}, []float64{3, 4}, false); v != Worse {
		t.Errorf("a cost that grew is %s", v)
	}
	var out strings.Builder
	if err := Changes(&out, before, Compare(before, after)); err != nil || !strings.Contains(out.String(), "within noise") {
		t.Errorf("%s %v", out.String(), err)
	}
}

// What make bench compares with has every target's figure, and runs that gave one.
func TestTheStoredBaseline(t *testing.T) {
	t.Parallel()
	stored, err := Read("../../baseline.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range stored.Targets() {
		if target.State == NotMeasured {
			t.Errorf("not measured: %s", target.Text)
		}
	}
	for _, run := range stored.Failed() {
		t.Errorf("%s: %s", run.Case, run.Problem)
	}
	for _, c := range Compare(stored, stored) {
		if c.Verdict == Better || c.Verdict == Worse {
			t.Errorf("beside itself: %+v", c)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := sample().Write(path); err != nil {
		t.Fatal(err)
	}
	if r, err := Read(path); err != nil || len(r.Runs) != len(sample().Runs) {
		t.Errorf("%v", err)
	}
	for _, content := range []string{"x", `{"format":99}`} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil {
			t.Errorf("%q was read as a report", content)
		}
	}
}

// The page has everything, and asks nobody for anything.
func TestPage(t *testing.T) {
	t.Parallel()
	before := sample()
	path := filepath.Join(t.TempDir(), "bench.html")
	if err := sample().WriteHTML(path, &before); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, want := range []string{
		"abc1234&#43;", "mqtt", "2,500 per s", "3 outcomes are missing", "POST answered", "7,654", "RabbitMQ", "<polyline", "reached", "single runs", "window",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if found := regexp.MustCompile(`(src|href)=|https?://|@import|url\(`).FindString(text); found != "" {
		t.Errorf("the page asks others: %q", found)
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("the page has a number that is none")
	}
	if err := (Report{At: time.Now()}).WriteHTML(path, nil); err != nil {
		t.Errorf("a report of nothing: %v", err)
	}
	if err := sample().WriteHTML(filepath.Join(path, "below"), nil); err == nil {
		t.Error("a page that could not be written passed for written")
	}
}
