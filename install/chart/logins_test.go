package chart_test

import (
	"strings"
	"testing"
)

// With logins each service gets the URL of its own user and no other's; only what migrates gets the owner's.
func TestServicesLogInAsThemselves(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"keda-values.yaml", "quickstart-values.yaml"} {
		all := decode(t, template(t, 3, "-f", folder+"/ci/"+file))
		seen := map[string]bool{}
		for _, w := range workloads(all) {
			for _, c := range w.containers() {
				for _, variable := range c.Env {
					if variable.Name != "DATABASE_URL" {
						continue
					}
					component := w.GetLabels()["app.kubernetes.io/component"]
					want, _, _ := strings.Cut(component, "-")
					if want == "migrate" || want == "test" || want == "agent" {
						want = "uri"
					}
					if got := variable.ValueFrom.SecretKeyRef.Key; got != want {
						t.Errorf("%s: %s of %s logs in with %s, want %s", file, c.Name, component, got, want)
					}
					seen[want] = true
				}
			}
		}
		for _, key := range []string{"api", "dispatcher", "recorder", "pusher", "uri"} {
			if !seen[key] {
				t.Errorf("%s: nobody logs in with %s", file, key)
			}
		}
	}
}
