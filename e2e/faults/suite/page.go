package suite

import (
	"fmt"
	"strings"
	"time"

	"github.com/cupline/cupline/verify/summary"
)

// preface of the page; the figures follow.
const preface = `# Reliability

<!-- Written by "go run ./e2e/cmd/faults -page docs/reliability.md HISTORY..." from real runs; do not edit. -->

What is promised: every accepted command ends in exactly one outcome that reaches its client; what is not
idempotent is never executed twice; what may have been executed is said to be in doubt. ` + "`make faults`" + ` tries to
break that: two of each service, a recorder, two agents, a broker and Postgres as real processes, each service's
links through a proxy; ten clients in two tenants that are online, flapping, slow, offline and polling; devices over
HTTP and MQTT that answer fast, slow, late, twice and never; repeated posts, also with another body. From a seed it
kills (SIGKILL), pauses (SIGSTOP, up to 22 s) and ends (SIGTERM) processes, broker and database, and cuts, refuses,
half-opens, slows and trickles (one byte a second) links, several at a time. Then all is healed and drained, and the
history of what clients sent and got, devices executed, and Postgres and the broker hold is checked:

| | invariant |
| --- | --- |
| I1 | every accepted command has an outcome in its client's hands or mailbox, and nothing stays in flight |
| I2 | never two different outcomes for one command, nor for one id but duplicate_id; copies are identical and few |
| I3 | a command that is not idempotent is executed at most once; where the outcome says executed: no, never |
| I4 | every failure is in the audit trail with its reason, and has one dead letter |
| I5 | nothing refused is executed or answered; nothing good is refused but for overload or a broker that is away |
| I6 | no outcome reaches another client; what counts as delivered was received |
| I7 | after healing every service is ready within 30 s by itself, queues are empty, no binding is left |

## Runs

`

// findings close the page.
const findings = `
## Found and mended

- While acks could not be noted in the database but the mailbox could be read, a client that acked quickly was given
  the same outcomes again and again (2,041 copies in one run; I2). A mailbox is now not read while more than a window
  of its client's acks are yet to be noted; the six runs since had 12 to 27 copies.

## Not injected yet

Kills at named points inside the services; broker alarms, a full queue, a missing dead-letter exchange, a policy
changed live, a consumer timeout passed; a database that is read-only, full, or out of connections; wrong
clocks; a slot retired for good; redrives; partitions between broker nodes other than by a pause. Of a cluster the
node that was started first is paused, but not killed: the port mapper of the others runs beside it. Latency of
lanes beside a broken one (I8) and leaks of goroutines and connections are not checked.
`

// Page is docs/reliability.md for these runs.
func Page(reports []summary.Report) string {
	var b strings.Builder
	b.WriteString(preface)
	b.WriteString("| seed | nodes | faults | accepted | refused | in doubt | executions | answered | failed | copies | longest to an outcome | ready after healing | violations |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
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
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s | %s | %d |\n", r.Seed, r.Nodes, total, r.Commands,
			r.Posts["refused"], r.Posts["in_doubt"], r.Executions, r.Outcomes["device"], failed, r.Copies,
			r.Longest.Round(100*time.Millisecond), r.Ready.Round(10*time.Millisecond), len(r.Violations))
	}
	b.WriteString("\nAccepted counts commands, each id once; refused and in doubt count posts. The longest time is from the accepted POST to the\n" +
		"outcome in the hands of a client that stays connected, faults included.\n")
	fmt.Fprintf(&b, "\nFaults in all: %s.\n", summary.Counts(faults))
	fmt.Fprintf(&b, "\nOutcomes without an answer of the device: %s.\n", summary.Counts(reasons))
	b.WriteString(findings)
	return b.String()
}
