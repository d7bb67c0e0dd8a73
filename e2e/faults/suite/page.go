package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/summary"
)

// Page is docs/reliability.md for these runs.
func Page(reports []summary.Report) string {
	var b strings.Builder
	b.WriteString(preface)
	b.WriteString("| seed | nodes | faults | accepted | one-way | in clients' hands | in mailboxes | in flight | refused | in doubt | executions | answered | failed | copies | longest to an outcome | ready after healing | violations |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	var all totals
	faults, reasons := map[string]map[string]int{}, map[string]int{}
	for _, r := range reports {
		failed := 0
		for word, n := range r.Outcomes {
			if word != "device" {
				failed += n
				reasons[word] += n
			}
		}
		total := 0
		for kind, n := range r.Faults {
			if faults[kind] == nil {
				faults[kind] = map[string]int{}
			}
			for on, times := range r.On[kind] {
				faults[kind][on] += times
			}
			total += n
		}
		all.add(r)
		seed := r.Seed
		if r.Alone {
			seed += ", alone"
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s | %s | %d |\n", seed, r.Nodes, total,
			r.Commands, r.OneWay, r.Got, r.Waiting, r.Open,
			r.Posts["refused"], r.Posts["in_doubt"], r.Executions, r.Outcomes["device"], failed, r.Copies,
			r.Longest.Round(100*time.Millisecond), r.Ready.Round(10*time.Millisecond), len(r.Violations))
	}
	fmt.Fprintf(&b, "\nIn all %d runs: %d commands accepted, lost %d, doubled %d, posts in doubt %d, outcomes in doubt (executed: maybe) %d.\n",
		len(reports), all.commands, all.lost, all.doubled, all.doubtful, all.maybe)
	b.WriteString("\nAccepted counts commands, each id once, and is the sum of the four after it; refused and in doubt count posts. The longest time is from the accepted POST to the\n" +
		"outcome in the hands of a client that stays connected, faults included. \"Alone\" is a run whose faults came one after the other.\n")
	helped(&b, reports)
	perFault(&b, reports, faults)
	bulkheads(&b, reports)
	fmt.Fprintf(&b, "\nOutcomes without an answer of the device: %s.\n", summary.Counts(reasons))
	b.WriteString(beside)
	b.WriteString(findings)
	return b.String()
}

// perFault tells of each kind of fault how often it was injected, and the longest time to an
// outcome of the commands that were under way meanwhile.
func perFault(b *strings.Builder, reports []summary.Report, faults map[string]map[string]int) {
	b.WriteString("\n## Faults\n\n| fault | injected | on | longest to an outcome of a command under way meanwhile, alone | mixed |\n| --- | --- | --- | --- | --- |\n")
	for _, kind := range slices.Sorted(maps.Keys(faults)) {
		longest := map[bool]time.Duration{}
		for _, r := range reports {
			longest[r.Alone] = max(longest[r.Alone], r.During[kind])
		}
		times := 0
		for _, n := range faults[kind] {
			times += n
		}
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", kind, times, on(faults[kind]), told(longest[true]), told(longest[false]))
	}
	b.WriteString("\nMixed, a time is that of the worst company a fault had. Times are of clients that stay connected.\n")
}

// on tells what a fault was injected on, and how often.
func on(kinds map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		parts = append(parts, fmt.Sprintf("%s ×%d", kind, kinds[kind]))
	}
	return strings.Join(parts, ", ")
}

func told(longest time.Duration) string {
	if longest == 0 {
		return "-"
	}
	return longest.Round(100 * time.Millisecond).String()
}

// bulkheads are the figures of I8, of runs that have enough for one.
func bulkheads(b *strings.Builder, reports []summary.Report) {
	b.WriteString("\n## Beside others' faults\n\nThe 99th percentile from the post to the outcome of quick commands, in calm and while a fault of another client, device, tenant or lane\n" +
		"lasted, in the same run. Runs with fewer than 50 such commands are left out.\n\n| seed | fault of another | in calm | beside it | times as long |\n| --- | --- | --- | --- | --- |\n")
	shown := 0
	for _, r := range reports {
		for _, scope := range slices.Sorted(maps.Keys(r.Beside)) {
			if f := r.Beside[scope]; f.Enough() {
				shown++
				fmt.Fprintf(b, "| %s | %s | %s (%d commands) | %s (%d commands) | %.1f |\n", r.Seed, scope,
					f.Calm.Round(time.Millisecond), f.CalmCount, f.During.Round(time.Millisecond), f.DuringCount, f.During.Seconds()/f.Calm.Seconds())
			}
		}
	}
	if shown > 0 {
		b.WriteString("\nOf so few commands the 99th percentile is the third slowest or so: a calm that is worse than what was beside a fault is the machine's noise.\n")
	}
	if shown == 0 {
		b.WriteString("\nNone of these runs has enough of them: I8 was not shown by figures.\n")
	}
}

// helped tells what the broker could not do by itself.
func helped(b *strings.Builder, reports []summary.Report) {
	nodes, partitions := 0, 0
	for _, r := range reports {
		for _, n := range r.Helped {
			nodes += n
		}
		for kind, n := range r.Faults {
			if strings.HasPrefix(kind, string(schedule.Partition)) {
				partitions += n
			}
		}
	}
	if partitions > 0 {
		fmt.Fprintf(b, "\nIn %d partitions it happened %d times that a node of the broker did not come back by itself within %s, and was started again: see\n"+
			"[operations](operations.md#a-queue-without-a-leader-or-a-node-that-does-not-come-back). Cupline's services needed nobody.\n", partitions, nodes, rejoinPatience)
	}
}

// totals over all runs.
type totals struct{ commands, lost, doubled, doubtful, maybe int }

func (t *totals) add(r summary.Report) {
	t.commands += r.Commands
	t.doubtful += r.Posts[history.InDoubt]
	for word, n := range r.Outcomes {
		switch outcome.Reason(word) {
		case outcome.NoAnswer, outcome.WorkerLost, outcome.BadAnswer:
			t.maybe += n
		}
	}
	for _, v := range r.Violations {
		switch v.Invariant {
		case "I1":
			t.lost++
		case "I2", "I3":
			t.doubled++
		}
	}
}
