package watch_test

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cupline/cupline/local/services"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const reference = checkout + "/docs/metrics.md"

// metric as a program lists it.
type metric struct {
	kind, labels, meaning string
	services              []string
}

// listed asks each program for its metrics.
func listed(t *testing.T) map[string]metric {
	t.Helper()
	all := map[string]metric{}
	for _, program := range []string{services.API, services.Dispatcher, services.Pusher} {
		command := exec.CommandContext(bounded(t), filepath.Join(site.Programs(), program), "--metrics")
		command.Env = []string{"AMQP_URL=amqp://nowhere.invalid/", "DATABASE_URL=postgres://nowhere.invalid/x", "CUPLINE_SLOT=slot-0",
			"CUPLINE_JANITOR_DATABASE_URL=postgres://nowhere.invalid/x"}
		printed, err := command.Output()
		if err != nil {
			t.Fatalf("%s --metrics: %v", program, err)
		}
		for line := range strings.Lines(string(printed)) {
			parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(parts) != 4 {
				t.Fatalf("%s --metrics prints %q", program, line)
			}
			m, known := all[parts[0]]
			if known && (m.kind != parts[1] || m.labels != parts[2]) && parts[0] != "cupline_topology_drift" {
				t.Errorf("%s is another metric in %s", parts[0], program)
			}
			if !known {
				m = metric{kind: parts[1], labels: parts[2], meaning: parts[3]}
			}
			m.services = append(m.services, program)
			all[parts[0]] = m
		}
	}
	return all
}

func TestTheReferenceIsWhatTheProgramsHave(t *testing.T) {
	all := listed(t)
	var page strings.Builder
	page.WriteString(`# Metrics

What each process shows at ` + "`/metrics`" + ` of its internal port; each program lists its own with ` + "`--metrics`" + `. This page is made from those
lists (` + "`go test ./e2e/watch -run Reference -update`" + `). Besides these there are the Go runtime's and the process's own (` + "`go_*`, `process_*`" + `).

No label names a client or a device. Times are in seconds. Histograms have buckets and are native ones, too, for servers that keep those
(` + "`--enable-feature=native-histograms`" + `); samples of traced commands carry the trace id as an exemplar.

What a process counts for itself is summed over processes. What every process of a kind shows alike, because it asks the broker or the
database (queues, dead letters, mailboxes, tables), is taken once: by ` + "`max`" + `. While it cannot be asked, those figures are absent
(of mailboxes ` + "`cupline_mailbox_known`" + ` is 0).

**Conservation.** Every accepted command ends once: ` + "`cupline_commands_accepted_total + cupline_commands_redriven_total = cupline_commands_ended_total`" + ` +
in flight, and in flight is what waits in lanes and ` + "`cupline.dead` (`cupline_queue_ready`)" + ` and what dispatchers (` + "`cupline_in_flight`" + `) and recorders
(` + "`cupline_letters_in_flight`" + `) have in hand. The recording rules ` + "`cupline:commands_in_flight` and `cupline:commands_unaccounted`" + ` compute it. What was in doubt and
reached a queue all the same ends without having been counted as accepted. A process that is killed takes along what nobody had scraped. On
lanes without a ledger a command that is delivered twice ends twice.

| metric | type | labels | shown by | what |
| --- | --- | --- | --- | --- |
`)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", name, m.kind, strings.ReplaceAll(m.labels, ",", ", "), strings.Join(m.services, ", "),
			strings.ReplaceAll(m.meaning, "|", `\|`))
	}
	if *update {
		if err := os.WriteFile(reference, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != page.String() {
		t.Errorf("%s is not what the programs say; after a look at the difference: go test ./e2e/watch -run Reference -update", reference)
	}
}

// scrape reads /metrics of a service, as OpenMetrics when there may be exemplars.
func scrape(t *testing.T, service string, open bool) string {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, "http://"+site.Service(service).Internal+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	if open {
		request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", service, answer.Status, err)
	}
	return string(text)
}

// sum adds up a metric's samples over all services, those with a label's value among its
// labels if one is given.
func sum(t *testing.T, name, label string) (total float64) {
	t.Helper()
	sample := regexp.MustCompile(`(?m)^` + name + `(?:\{([^}]*)\})? (\S+)$`)
	for _, service := range []string{"api", "dispatcher-0", "pusher-0"} {
		for _, found := range sample.FindAllStringSubmatch(scrape(t, service, false), -1) {
			if !strings.Contains(found[1], label) {
				continue
			}
			value, err := strconv.ParseFloat(found[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			total += value
		}
	}
	return total
}

// TestEveryMetricNamedIsThere holds rules and dashboards to what the programs have, and
// what the services show to the reference.
func TestEveryMetricNamedIsThere(t *testing.T) {
	all := listed(t)
	known := func(name string) bool {
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && (all[base].kind == "histogram" || suffix == "" && all[base].kind != "") {
				return true
			}
		}
		return false
	}
	files, err := filepath.Glob(checkout + "/helm/files/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	named := regexp.MustCompile(`cupline_[a-z_0-9]+`)
	for _, file := range append(files, checkout+"/helm/files/rules.yaml") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range named.FindAllString(string(content), -1) {
			if !known(name) {
				t.Errorf("%s asks for %s, which no program has", filepath.Base(file), name)
			}
		}
	}
	family := regexp.MustCompile(`(?m)^# TYPE (cupline_\S+) (\S+)$`)
	for _, service := range []string{"api", "dispatcher-0", "pusher-0"} {
		shown := family.FindAllStringSubmatch(scrape(t, service, false), -1)
		if len(shown) < 10 {
			t.Errorf("%s shows %d metrics", service, len(shown))
		}
		for _, f := range shown {
			if all[f[1]].kind != f[2] {
				t.Errorf("%s shows %s as %s, the reference has %+v", service, f[1], f[2], all[f[1]])
			}
		}
	}
}

// TestWhatIsAcceptedEndsOrIsInFlight counts a mixed load on the services' own figures:
// results, errors, failures, repeated posts, one-way commands, batches, redrives.
func TestWhatIsAcceptedEndsOrIsInFlight(t *testing.T) {
	n := newTenant(t)
	arrivals := n.listen(t)
	unaccounted := func() float64 {
		return sum(t, "cupline_commands_accepted_total", "") + sum(t, "cupline_commands_redriven_total", "") - sum(t, "cupline_commands_ended_total", "") -
			sum(t, "cupline_queue_ready", `kind="lane"`) - sum(t, "cupline_queue_ready", `kind="dead"`) -
			sum(t, "cupline_in_flight", "") - sum(t, "cupline_letters_in_flight", "")
	}
	// A process that was killed has taken its counts along: what is not accounted for by then stays so.
	eventually(t, "nothing is under way", func() bool {
		return sum(t, "cupline_queue_ready", `kind="lane"`)+sum(t, "cupline_queue_ready", `kind="dead"`)+
			sum(t, "cupline_in_flight", "")+sum(t, "cupline_letters_in_flight", "") == 0
	})
	lost, lateBefore := unaccounted(), sum(t, "cupline_commands_late_total", "")
	before := map[string]float64{}
	words := []string{"result", "error", "one_way", "repeated", "device_offline", "duplicate_id", "no_answer"}
	for _, word := range words {
		before[word] = sum(t, "cupline_commands_ended_total", `outcome="`+word+`"`)
	}
	const each = 20
	for i := range each {
		n.post(t, lamp, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"on"}`, i), "")
		n.post(t, lamp, fmt.Sprintf(`{"jsonrpc":"2.0","id":"e-%d","method":"fail"}`, i), "")
		n.post(t, lamp, `{"jsonrpc":"2.0","method":"on"}`, "")
		n.post(t, absent, fmt.Sprintf(`{"jsonrpc":"2.0","id":"a-%d","method":"on"}`, i), "")
	}
	take(t, arrivals, 3*each)
	for i := range each {
		n.post(t, lamp, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"on"}`, i), "")            // again: the same outcome
		n.post(t, lamp, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"somethingelse"}`, i), "") // another body
	}
	take(t, arrivals, 2*each)
	want := map[string]float64{"result": each, "error": each, "one_way": each, "repeated": each, "device_offline": each, "duplicate_id": each}
	eventually(t, "every command is counted to its end", func() bool {
		for word, more := range want {
			if sum(t, "cupline_commands_ended_total", `outcome="`+word+`"`) < before[word]+more {
				return false
			}
		}
		return unaccounted() == lost
	})
	for word, more := range want {
		if got := sum(t, "cupline_commands_ended_total", `outcome="`+word+`"`) - before[word]; got != more {
			t.Errorf("%s: %v ended, want %v", word, got, more)
		}
	}
	if late := sum(t, "cupline_commands_late_total", "") - lateBefore; late != 0 {
		t.Errorf("%v are late", late)
	}
}
