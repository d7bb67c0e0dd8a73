package chart_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
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
			sections["docs/operations.md#"+strings.ReplaceAll(strings.ToLower(title), " ", "-")] = true
		}
	}
	metric, alerts := regexp.MustCompile(`cupline_[a-z_]+`), 0
	for _, rule := range rules.Spec.Groups[0].Rules {
		alerts++
		used := metric.FindAllString(rule.Expr.String(), -1)
		if len(used) == 0 {
			t.Errorf("%s asks for nothing of ours", rule.Alert)
		}
		for _, name := range used {
			if !there[name] && !there[strings.TrimSuffix(strings.TrimSuffix(name, "_count"), "_bucket")] {
				t.Errorf("%s asks for %s, which no service has", rule.Alert, name)
			}
		}
		if link := rule.Annotations["runbook_url"]; !sections[link] {
			t.Errorf("%s links to %q, which is no section", rule.Alert, link)
		}
	}
	if alerts < 5 {
		t.Errorf("only %d alerts", alerts)
	}
}
