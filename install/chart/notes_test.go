package chart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// notes renders NOTES.txt, which Helm shows only where it has a cluster: in a copy of the chart it is a ConfigMap's text.
func notes(t *testing.T, major int, args ...string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "cupline")
	text, err := os.ReadFile(filepath.Join(folder, "templates", "NOTES.txt"))
	if err == nil {
		err = os.CopyFS(copied, os.DirFS(folder))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, "notes.txt"), text, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(copied, "templates", "notes.yaml"), []byte(
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata:\n  text: {{ tpl (.Files.Get \"notes.txt\") . | quote }}\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	said, err := helm(t, major, append([]string{"template", "y", copied, "--namespace", "shop", "--show-only", "templates/notes.yaml"}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return only[*core.ConfigMap](t, decode(t, said), "notes").Data["text"]
}

func TestNotesTellTheNextCommand(t *testing.T) {
	t.Parallel()
	for major := range helms {
		quick := notes(t, major, "-f", filepath.Join(folder, "ci", "quickstart-values.yaml"))
		secured := notes(t, major, "-f", filepath.Join(folder, "ci", "secured-values.yaml"))
		plain := notes(t, major, "-f", filepath.Join(folder, "ci", "plain-values.yaml"))
		for text, wanted := range map[string][]string{
			quick:   {"of tenant demo", "get secret y-cupline-admin-key", "service/y-cupline-api 8080:80", "devices/host/commands", "helm test y --namespace shop"},
			secured: {"https://127.0.0.1:8080/console", "of tenant default", "http://y-cupline-api-broker.shop:9100/broker/", "cupline devices put"},
			plain:   {"http://127.0.0.1:8080/console", "helm test y"},
		} {
			for _, want := range wanted {
				if !strings.Contains(text, want) {
					t.Errorf("helm %d: no %q in\n%s", major, want, text)
				}
			}
			if strings.Contains(text, "<no value>") || strings.Contains(text, "%!") || strings.Contains(text, "\n\n\n") {
				t.Errorf("helm %d: holes in\n%s", major, text)
			}
		}
		if strings.Contains(plain, "admin-key") {
			t.Errorf("a key that nobody makes:\n%s", plain)
		}
	}
}
