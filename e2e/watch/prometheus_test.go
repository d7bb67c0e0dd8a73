package watch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/services"
)

const rulesFile = checkout + "/helm/files/rules.yaml"

// promtool runs Prometheus' own checks.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if said, err := exec.CommandContext(bounded(t), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, said)
	}
}

func TestRulesPassPromtool(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", "testdata/rules_test.yaml")
}

// TestDashboardsAskWhatPrometheusUnderstands has each question of each panel checked as
// if it were a rule.
func TestDashboardsAskWhatPrometheusUnderstands(t *testing.T) {
	files, err := filepath.Glob(checkout + "/helm/files/dashboards/*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("dashboards %v, %v", files, err)
	}
	variables := strings.NewReplacer("$__rate_interval", "5m", "$lane", ".*")
	var rules strings.Builder
	rules.WriteString("groups:\n- name: panels\n  rules:\n")
	panels := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Title, UID string
			Panels     []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(content, &board); err != nil || board.UID == "" || board.Title == "" {
			t.Fatalf("%s: %+v, %v", file, board, err)
		}
		for _, p := range board.Panels {
			for _, target := range p.Targets {
				panels++
				expr, err := json.Marshal(variables.Replace(target.Expr)) // JSON is YAML
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&rules, "  - record: panel:%d\n    expr: %s\n", panels, expr)
			}
			if len(p.Targets) == 0 || p.Title == "" {
				t.Errorf("%s has a panel that asks nothing: %+v", board.Title, p)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
	if panels < 50 {
		t.Errorf("only %d questions", panels)
	}
}

// prometheus is a server of the test's own that scrapes the platform every second and evaluates the rules twice as often, with every
// "for" cut to five seconds: a scrape or two that a busy machine misses raise nothing.
type prometheus struct{ base string }

func newPrometheus(t *testing.T) *prometheus {
	t.Helper()
	folder := t.TempDir()
	reserved, err := ports.Reserve(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reserved.Release() })
	p := &prometheus{base: "http://" + ports.Address(reserved.Ports[0])}
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	rules = regexp.MustCompile(`(?m)^(\s+)for: .*$`).ReplaceAll(rules, []byte("${1}for: 5s"))
	var targets []string
	for _, name := range []string{"api", "dispatcher-0", "pusher-0"} {
		targets = append(targets, strconv.Quote(site.Service(name).Internal))
	}
	config := "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms}\nrule_files: [rules.yaml]\n" +
		"scrape_configs:\n- job_name: cupline\n  static_configs: [{targets: [" + strings.Join(targets, ", ") + "]}]\n"
	for name, content := range map[string][]byte{"rules.yaml": rules, "prometheus.yml": []byte(config)} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	server := exec.CommandContext(context.WithoutCancel(t.Context()), "prometheus", "--config.file="+filepath.Join(folder, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+ports.Address(reserved.Ports[0]),
		"--enable-feature=exemplar-storage,native-histograms")
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := server.Wait(); err != nil || t.Failed() {
			t.Logf("prometheus: %v\n%s", err, said.Bytes())
		}
	})
	eventually(t, "Prometheus has looked at the whole platform", func() bool { return p.value(t, `sum(up)`) == 3 })
	return p
}

// get asks Prometheus' API; false while it does not answer.
func (p *prometheus) get(t *testing.T, path string, data any) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, p.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false // not there yet
	}
	defer func() { _ = answer.Body.Close() }()
	whole := struct {
		Status string
		Data   any
	}{Data: data}
	return json.NewDecoder(answer.Body).Decode(&whole) == nil && whole.Status == "success"
}

// value of an expression; -1 where there is none.
func (p *prometheus) value(t *testing.T, expr string) float64 {
	t.Helper()
	var data struct {
		Result []struct{ Value [2]any }
	}
	if !p.get(t, "/api/v1/query?query="+url.QueryEscape(expr), &data) || len(data.Result) == 0 {
		return -1
	}
	text, _ := data.Result[0].Value[1].(string)
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return -1
	}
	return value
}

// firing lists the alerts that fire.
func (p *prometheus) firing(t *testing.T) map[string]string {
	t.Helper()
	var data struct {
		Alerts []struct {
			State               string
			Labels, Annotations map[string]string
		}
	}
	alerts := map[string]string{}
	if !p.get(t, "/api/v1/alerts", &data) {
		return map[string]string{"unknown": ""}
	}
	for _, a := range data.Alerts {
		if a.State == "firing" {
			alerts[a.Labels["alertname"]] = a.Annotations["summary"]
		}
	}
	return alerts
}

func TestADispatcherThatDiesRaisesTheRightAlert(t *testing.T) {
	n := newTenant(t)
	arrivals := n.listen(t)
	server := newPrometheus(t)
	// A process that was killed has taken its counts along: what is not accounted for by then stays so.
	eventually(t, "nothing is under way", func() bool { return server.value(t, "cupline:commands_in_flight") == 0 })
	lost := server.value(t, "cupline:commands_unaccounted")
	n.post(t, lamp, `{"jsonrpc":"2.0","id":"first","method":"on"}`, "")
	take(t, arrivals, 1)
	eventually(t, "by Prometheus' own account every command is accounted for", func() bool {
		return server.value(t, "cupline:commands_unaccounted") == lost && server.value(t, "sum(cupline_commands_ended_total)") > 0
	})
	if fires := server.firing(t); len(fires) != 0 {
		t.Errorf("before anything is wrong these fire: %v", fires)
	}

	if err := site.Kill("dispatcher-0"); err != nil {
		t.Fatal(err)
	}
	const waiting = 5
	for i := range waiting {
		n.post(t, lamp, fmt.Sprintf(`{"jsonrpc":"2.0","id":"w-%d","method":"on"}`, i), "")
	}
	eventually(t, "nobody takes from the lane, and the alert says so", func() bool {
		return server.firing(t)["CuplineNoConsumers"] != "" && server.value(t, `max(cupline_queue_ready{kind="lane"})`) == waiting
	})
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if !server.get(t, "/api/v1/rules", &rules) {
		t.Fatal("Prometheus tells no rules")
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				t.Errorf("rule %s cannot be evaluated: %s", r.Name, r.LastError)
			}
		}
	}

	if err := start(t.Context(), "dispatcher-0", services.Dispatcher, receiver.URL); err != nil {
		t.Fatal(err)
	}
	take(t, arrivals, waiting)
	eventually(t, "the alert clears", func() bool {
		fires := server.firing(t)
		_, still := fires["CuplineNoConsumers"]
		return !still && server.value(t, `max(cupline_queue_ready{kind="lane"})`) == 0
	})
}
