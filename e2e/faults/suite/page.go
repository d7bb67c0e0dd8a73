package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/summary"
)

// preface of the page; the figures follow.
const preface = `# Reliability

<!-- Written by "make reliability RUNS='report.json ...'" from real runs; do not edit. -->

What is promised: every accepted command ends in exactly one outcome that reaches its client; what is not
idempotent is never executed twice; what may have been executed is said to be in doubt. ` + "`make faults`" + ` tries to
break that: two of each service, a recorder, two agents, a broker and Postgres as real processes, each service's
links through a proxy; ten clients in two tenants that are online, flapping, slow, offline and polling; devices over
HTTP and MQTT that answer fast, slow, late, twice and never; repeated posts, also with another body; operators that
redrive and discard dead letters, one by one and by jobs. Several faults at a time are drawn from a seed:

- kill (SIGKILL), pause (SIGSTOP, up to 22 s) and end (SIGTERM) of processes, broker and database; kill-at and hold-at, at
  points in their work: before and after a publish, after a claim, an answer, an outcome, a push, before an ack, within
  the transactions of mailbox and dead letters, around a redrive; clock-ahead and clock-behind, by an hour
- cut, refuse, half-open, slow, trickle (one byte a second) and answers-lost (the work is done, nobody is told) of the
  links between each service and broker and database, each client and its pushers, clients and api, each device
- database-slow, database-read-only, database-connections (none left), database-full (a small disk, where the suite may mount one)
- memory-alarm, disk-alarm, queue-full, no-dead-letters (an exchange that queues dead-letter to is deleted), policy (changed
  live), consumer-timeout (passed)
- of a cluster of three nodes: kill-leader, kill-two, restart-all
- tenant-stuck: none of one tenant's devices answers

Then all is healed and drained, and the history of what clients sent and got, devices executed, and Postgres and the
broker hold is checked:

| | invariant |
| --- | --- |
| I1 | every accepted command has an outcome in its client's hands or mailbox, and nothing stays in flight |
| I2 | never two different outcomes for one command, nor for one id but duplicate_id; copies are identical and few |
| I3 | a command that is not idempotent is executed at most once, and once more at most by each redrive; what may have been executed is redriven only when the operator says so; where the outcome says executed: no, never |
| I4 | every failure is in the audit trail with its reason, and has one dead letter |
| I5 | nothing refused is executed or answered; nothing expires early, by whatever clock; nothing good is refused but for overload or a broker that is away |
| I6 | no outcome reaches another client; what counts as delivered was received |
| I7 | after healing every service is ready within 30 s by itself, queues are empty, no binding is left, and no goroutine, file, socket or connection past 20 more than at first |
| I8 | beside a fault of one client, device or tenant the others' 99th percentile is within 3 times that in calm, or 1 s |

## Runs

`

// findings close the page.
const findings = `
## Found and mended

- While acks could not be noted in the database but the mailbox could be read, a client that acked quickly was given
  the same outcomes again and again (2,041 copies in one run; I2). A mailbox is now not read while more than a window
  of its client's acks are yet to be noted; the six runs since had 12 to 27 copies.
- Nodes of a cluster found each other by a port mapper that ran beside the first one, which so could not be ended. It has
  a life of its own now, and every node is killed, the one that leads too.
- Why an online client waited for up to 31 s, and 40 s in a run of nothing but half-open links: the wait is a chain of
  half-open links, each of up to 22 s, one after the other on a command's way (its dispatcher's to the broker, its pusher's
  to the broker, its pusher's to the database), and it ended within 0.3 s of the last one's end. A half-open link is noticed after 15 s
  by a service and up to 20 s by the broker, which are one and a half and two heartbeats of 10 s. The heartbeat is the price
  to choose: see [decision 17](decisions/0017-the-heartbeat-stays-ten-seconds.md).
- Of a cluster that lost its majority, RabbitMQ 3.10.8 with the MQTT plugin took about two minutes (113 s and 129 s on a busy
  machine) until all nodes served again. Commands were refused with 503 meanwhile, and none was lost.

The runs above shared two cores with much else (load averages of 30 to 50), and that is where their longest times come
from: killed twice, the broker of seed 32 took 38 s and 43 s to serve again, and the waiting outcomes came 6 s after.

Restarts in order: ` + "`make rolling`" + ` ended and started every service in turn, 100 times in 157 s, with a command every 10 ms at
most: 2,000 accepted, 1 in doubt, none lost, none doubled, none executed twice. A dispatcher and a pusher added under
load and taken away again for good, the pusher by SIGKILL: 214 accepted, none lost or doubled, and its slot was removed.

- An exchange that somebody deleted, with the queue behind it still there, was declared again without its binding by
  whoever only borrows it; every outcome for a client that is not connected then waited without an end (I1, I7). Each
  service now declares every 10 s what is its own. The broker itself tries dead letters again, that it could not pass on, after
  3 minutes; the suite tells it 10 s.

## Not injected yet

Partitions between broker nodes other than by a pause of a node. A lane of its own beside a broken one: I8 is of
clients, devices and tenants.
`

// Page is docs/reliability.md for these runs.
func Page(reports []summary.Report) string {
	var b strings.Builder
	b.WriteString(preface)
	b.WriteString("| seed | nodes | faults | accepted | refused | in doubt | executions | answered | failed | copies | longest to an outcome | ready after healing | violations |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	var all totals
	faults, reasons := map[string]int{}, map[string]int{}
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
			faults[kind] += n
			total += n
		}
		all.add(r)
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s | %s | %d |\n", r.Seed, r.Nodes, total, r.Commands,
			r.Posts["refused"], r.Posts["in_doubt"], r.Executions, r.Outcomes["device"], failed, r.Copies,
			r.Longest.Round(100*time.Millisecond), r.Ready.Round(10*time.Millisecond), len(r.Violations))
	}
	fmt.Fprintf(&b, "\nIn all %d runs: %d commands accepted, lost %d, doubled %d, posts in doubt %d, outcomes in doubt (executed: maybe) %d.\n",
		len(reports), all.commands, all.lost, all.doubled, all.doubtful, all.maybe)
	b.WriteString("\nAccepted counts commands, each id once; refused and in doubt count posts. The longest time is from the accepted POST to the\n" +
		"outcome in the hands of a client that stays connected, faults included.\n")
	perFault(&b, reports, faults)
	fmt.Fprintf(&b, "\nOutcomes without an answer of the device: %s.\n", summary.Counts(reasons))
	b.WriteString(beside)
	b.WriteString(findings)
	return b.String()
}

// perFault tells of each kind of fault how often it was injected, and the longest time to an
// outcome of the commands that were under way meanwhile.
func perFault(b *strings.Builder, reports []summary.Report, faults map[string]int) {
	b.WriteString("\n## Faults\n\n| fault | injected | longest to an outcome of a command under way meanwhile |\n| --- | --- | --- |\n")
	for _, kind := range slices.Sorted(maps.Keys(faults)) {
		longest := time.Duration(0)
		for _, r := range reports {
			longest = max(longest, r.During[kind])
		}
		told := "none was"
		if longest > 0 {
			told = longest.Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(b, "| %s | %d | %s |\n", kind, faults[kind], told)
	}
	b.WriteString("\nSeveral faults are mixed, so a time is that of the worst company a fault had, not of the fault alone. Times are of\nclients that stay connected.\n")
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
