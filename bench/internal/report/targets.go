package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cupline/cupline/bench/internal/measure"
)

// State of a target.
type State string

// A target that was not measured says so: it is not reached by leaving a case out.
const (
	Reached     State = "reached"
	NotReached  State = "not reached"
	NotMeasured State = "not measured"
)

// Target is what the bench is held to.
type Target struct {
	// Text for the reader, with the limit; Found is what was measured, and at which size.
	Text, Found string
	State       State
}

// target is one before it is looked for.
type target struct {
	text  string
	limit float64
	least bool // the limit is the least, and not the most
	unit  string
	find  func(Report) (value float64, at string, ok bool)
}

func targets() []target {
	ratioOf := func(name string) func(Report) (float64, string, bool) {
		return atCeiling(name, func(run Run) float64 { return run.Ratio })
	}
	costOf := func(name string) func(Report) (float64, string, bool) {
		return atCeiling(name, func(run Run) float64 { return run.Reading.PerThousand(measure.Platform, "") })
	}
	return []target{
		{"ceiling without a ledger, of the plain pipeline, 0.70 or more", 0.70, true, "", ratioOf("swift")},
		{"ceiling with the ledger, of the plain pipeline, 0.55 or more", 0.55, true, "", ratioOf("ledger")},
		{"CPU-seconds per 1,000 commands without a ledger, at the ceiling, 0.55 or less", 0.55, false, "CPU-s", costOf("swift")},
		{"CPU-seconds per 1,000 commands with the ledger, at the ceiling, 0.70 or less", 0.70, false, "CPU-s", costOf("ledger")},
		{"p99 at half the ceiling, 25 ms or less", 25, false, "ms", atHalf(func(run Run) float64 { return run.Latency.P99.Seconds() * 1000 })},
		{"p99 at half the ceiling, 6 times p50 or less", 6, false, "× p50", atHalf(func(run Run) float64 {
			return float64(run.Latency.P99) / float64(max(run.Latency.P50, 1))
		})},
		{"RSS per idle connection, 9 KiB or less", 9, false, "KiB", figure("sockets", "pusher's RSS per idle connection", "18,000 clients")},
		{"16,000 clients on two pushers online again after a kill, 20 s or less", 20, false, "s",
			figure("sockets", "all online again after a pusher is killed", "16,000 clients")},
		{"others' p99 beside a slow client, 1.10 of that without or less", 1.10, false, "×", figure("push-slow", "of that without", "")},
		{"outcomes pushed alone, 7,000 per s or more", 7000, true, "per s", figure("push", "outcomes", "1,000 clients")},
		{"mailbox drained by one client, 20,000 rows per s or more", 20_000, true, "per s", figure("drain", "mailbox drained", "1,000,000 outcomes to 1 client")},
		{"mailboxes drained by 1,000 clients, 20,000 rows per s or more", 20_000, true, "per s", figure("drain", "mailbox drained", "1,000,000 outcomes to 1,000 clients")},
		{"cost of a command with a million devices, 1.05 of that before or less", 1.05, false, "×", figure("growth", "of the cost before", "and with 1,000,000 devices")},
		{"cost of a command with a million dead letters, 1.05 of that before or less", 1.05, false, "×", figure("growth", "of the cost before", "and with 1,000,000 dead letters")},
	}
}

// atCeiling is the median of a case's runs.
func atCeiling(name string, of func(Run) float64) func(Report) (float64, string, bool) {
	return func(r Report) (float64, string, bool) {
		for _, g := range r.groups(Ceiling) {
			if value := g.median(of); g.name == name && value > 0 {
				return value, "", true
			}
		}
		return 0, "", false
	}
}

// atHalf is what the case latency-ledger found at half the ceiling.
func atHalf(of func(Run) float64) func(Report) (float64, string, bool) {
	return func(r Report) (float64, string, bool) {
		for _, g := range r.groups(Paced) {
			if g.name == "latency-ledger" && g.share == 0.5 {
				return g.median(of), fmt.Sprintf("at %s per s", Whole(g.median(func(run Run) float64 { return run.Offered }))), true
			}
		}
		return 0, "", false
	}
}

// figure is a trial's, at the size that the target speaks of.
func figure(name, what, at string) func(Report) (float64, string, bool) {
	return func(r Report) (float64, string, bool) {
		for _, run := range r.Runs {
			i := slices.IndexFunc(run.Figures, func(f Figure) bool { return f.What == what && strings.HasPrefix(f.At, at) })
			if run.Case == name && run.Problem == "" && i >= 0 {
				return run.Figures[i].Value, run.Figures[i].At, true
			}
		}
		return 0, "", false
	}
}

// Targets are all, with what the report says of each. That intake makes 25 objects of a command or fewer is held by a test.
func (r Report) Targets() []Target {
	var all []Target
	for _, t := range targets() {
		value, at, ok := t.find(r)
		one := Target{Text: t.text, State: NotMeasured}
		if ok {
			one.Found = strings.TrimSpace(Number(value) + " " + t.unit)
			if at != "" {
				one.Found += ", " + at
			}
			one.State = NotReached
			if t.least && value >= t.limit || !t.least && value <= t.limit {
				one.State = Reached
			}
		}
		all = append(all, one)
	}
	return all
}
