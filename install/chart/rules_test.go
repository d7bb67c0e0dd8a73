package chart_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	core "k8s.io/api/core/v1"
)

const checkout = "../.."

// registered are the names of metrics in the services' sources.
func registered(t *testing.T) map[string]bool {
	t.Helper()
	name, found := regexp.MustCompile(`"(cupline_[a-z_]+)"`), map[string]bool{}
	for _, room := range []string{"api", "dispatcher", "pusher", "store", "chassis"} {
		err := filepath.WalkDir(filepath.Join(checkout, room), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			for _, match := range name.FindAllSubmatch(content, -1) {
				found[string(match[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestAlertsAskForMetricsThatAreAndLinkToSections(t *testing.T) {
	t.Parallel()
	rules := only[*monitoring.PrometheusRule](t, rendered(t, "keda"), "cupline")
	there := registered(t)
	manual, err := os.ReadFile(filepath.Join(checkout, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for line := range strings.Lines(string(manual)) {
		if title, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			title = strings.ReplaceAll(strings.ToLower(title), " ", "-")
			sections["https://runbooks.example.com/cupline/docs/operations.md#"+strings.ReplaceAll(title, "'", "")] = true
		}
	}
	metric, alerts := regexp.MustCompile(`cupline_[a-z_]+`), 0
	for _, rule := range slices.Concat(rules.Spec.Groups[0].Rules, rules.Spec.Groups[1].Rules, rules.Spec.Groups[2].Rules) {
		used := metric.FindAllString(rule.Expr.String(), -1)
		if len(used) == 0 && !strings.Contains(rule.Expr.String(), "cupline:") {
			t.Errorf("%s%s asks for nothing of ours", rule.Alert, rule.Record)
		}
		for _, name := range used {
			if !there[name] && !there[strings.TrimSuffix(strings.TrimSuffix(name, "_count"), "_bucket")] {
				t.Errorf("%s%s asks for %s, which no service has", rule.Alert, rule.Record, name)
			}
		}
		if rule.Record != "" {
			continue
		}
		alerts++
		if link := rule.Annotations["runbook_url"]; !sections[link] {
			t.Errorf("%s links to %q, which is no section", rule.Alert, link)
		}
	}
	if alerts < 15 {
		t.Errorf("only %d alerts", alerts)
	}
}

func TestDashboardsAreConfigMapsForGrafanasSidecar(t *testing.T) {
	t.Parallel()
	objects := rendered(t, "keda")
	files, err := filepath.Glob(filepath.Join(folder, "files", "dashboards", "*.json"))
	if err != nil || len(files) != 4 {
		t.Fatalf("dashboards %v, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		m := only[*core.ConfigMap](t, objects, "cupline-dashboard-"+name)
		if strings.TrimSpace(m.Data["cupline-"+name+".json"]) != strings.TrimSpace(string(content)) {
			t.Errorf("the ConfigMap of %s has something else than the file", name)
		}
		if m.Labels["grafana_dashboard"] != "1" || m.Annotations["grafana_folder"] != "Cupline" {
			t.Errorf("%s: labels %v, annotations %v", name, m.Labels, m.Annotations)
		}
	}
}
