package chart_test

import (
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	security "k8s.io/pod-security-admission/api"
	standards "k8s.io/pod-security-admission/policy"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

// TestPodsAreAdmittedWhereRestrictedIsEnforced asks the code that the API server itself asks.
func TestPodsAreAdmittedWhereRestrictedIsEnforced(t *testing.T) {
	t.Parallel()
	evaluator, err := standards.NewEvaluator(standards.DefaultChecks())
	if err != nil {
		t.Fatal(err)
	}
	versions := []security.Version{security.MajorMinorVersion(1, 30), security.LatestVersion()}
	refusal := func(version security.Version, template *meta.ObjectMeta, pod *core.PodSpec) string {
		restricted := security.LevelVersion{Level: security.LevelRestricted, Version: version}
		result := standards.AggregateCheckResults(evaluator.EvaluatePod(restricted, template, pod))
		if result.Allowed {
			return ""
		}
		return result.ForbiddenDetail()
	}
	if refusal(versions[0], &meta.ObjectMeta{}, &core.PodSpec{Containers: []core.Container{{Name: "x"}}}) == "" {
		t.Error("the test's own premise: a pod without any of it is admitted")
	}
	forEach(t, func(t *testing.T, all []object) {
		for _, w := range workloads(all) {
			for _, version := range versions {
				if why := refusal(version, &w.template, &w.pod); why != "" {
					t.Errorf("%s at %s: %s", w.GetName(), version.String(), why)
				}
			}
		}
	})
}

// TestNamesThatYAMLReadsOtherwise: a release called y is no boolean, and one called 1e3 no number.
func TestNamesThatYAMLReadsOtherwise(t *testing.T) {
	t.Parallel()
	for major := range helms {
		for _, name := range []string{"y", "n", "1e3", "0x1"} {
			said, err := helm(t, major, "template", name, folder, "-n", "1e3", "-f", folder+"/ci/keda-values.yaml")
			if err != nil {
				t.Fatalf("helm %d: %v\n%s", major, err, said)
			}
			for _, o := range decode(t, said) {
				// Objects of extraObjects have whatever name they were given.
				if labels := o.GetLabels(); labels != nil && labels["app.kubernetes.io/instance"] != name {
					t.Errorf("helm %d: %s has the labels %v", major, o.GetName(), labels)
				}
			}
		}
	}
}

func TestPodsAreSpreadAndBudgeted(t *testing.T) {
	t.Parallel()
	all := rendered(t, "minimal")
	for _, w := range workloads(all) {
		if w.kind != "Deployment" && w.kind != "StatefulSet" {
			continue
		}
		var keys []string
		for _, c := range w.pod.TopologySpreadConstraints {
			keys = append(keys, c.TopologyKey)
			if !subset(c.LabelSelector.MatchLabels, w.template.Labels) {
				t.Errorf("%s is spread among others: %v", w.GetName(), c.LabelSelector)
			}
		}
		if !slices.Equal(keys, []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"}) {
			t.Errorf("%s is spread over %v", w.GetName(), keys)
		}
		budgets := 0
		for _, o := range all {
			if b, ok := o.(*policy.PodDisruptionBudget); ok && subset(b.Spec.Selector.MatchLabels, w.template.Labels) {
				budgets++
			}
		}
		if budgets != 1 {
			t.Errorf("%s has %d budgets", w.GetName(), budgets)
		}
	}
	if n := count[*policy.PodDisruptionBudget](rendered(t, "plain")); n != 0 {
		t.Errorf("%d budgets where none are wanted", n)
	}
}

func TestWhatOperatorsAddReachesThePods(t *testing.T) {
	t.Parallel()
	all := rendered(t, "keda")
	for _, w := range workloads(all) {
		if len(w.pod.ImagePullSecrets) != 1 || w.pod.ImagePullSecrets[0].Name != "registry" {
			t.Errorf("%s pulls with %v", w.GetName(), w.pod.ImagePullSecrets)
		}
		if w.GetLabels()["team"] != "shop" {
			t.Errorf("%s: labels %v", w.GetName(), w.GetLabels())
		}
		for _, c := range w.containers() {
			if !strings.HasSuffix(c.Image, "@sha256:"+strings.Repeat("0", 64)) {
				t.Errorf("%s runs %s: a digest wins over a tag", w.GetName(), c.Image)
			}
			if env(c)["TZ"] != "UTC" {
				t.Errorf("%s/%s: no extraEnv", w.GetName(), c.Name)
			}
		}
	}
	slow := pod(t, all, "cupline-dispatcher-slow")
	if slow.pod.PriorityClassName != "high" || len(slow.pod.Tolerations) != 1 || slow.pod.NodeSelector["pool"] != "devices" ||
		slow.template.Annotations["example.com/from"] != "slow" {
		t.Errorf("%+v", slow.pod)
	}
	for _, name := range []string{"cupline-extra", "cupline-extra-text"} {
		only[*core.ConfigMap](t, all, name)
	}
}

// TestWhatOnlyChangesAConfigMapRestartsItsPods: a pod does not see by itself that it was configured anew.
func TestWhatOnlyChangesAConfigMapRestartsItsPods(t *testing.T) {
	t.Parallel()
	sum := func(args ...string) string {
		broker := only[*apps.StatefulSet](t, rendered(t, "quickstart", args...), "cupline-rabbitmq")
		return broker.Spec.Template.Annotations["checksum/config"]
	}
	before := sum()
	// The configuration has the name of the API's Service in it.
	if after := sum("--set", "nameOverride=coffee,fullnameOverride=cupline"); before == "" || before != after {
		t.Errorf("the checksum went from %q to %q, and the configuration is the same", before, after)
	}
	other := decode(t, template(t, 3, "-f", folder+"/ci/quickstart-values.yaml", "--set", "fullnameOverride=coffee"))
	if after := only[*apps.StatefulSet](t, other, "coffee-rabbitmq").Spec.Template.Annotations["checksum/config"]; after == before {
		t.Error("another configuration has the same checksum")
	}
}

func TestRoutesOutliveLongPollsAndSockets(t *testing.T) {
	t.Parallel()
	all := rendered(t, "hpa")
	for name, want := range map[string]gateway.Duration{"cupline-api": "60s", "cupline-pusher": "0s"} {
		route := only[*gateway.HTTPRoute](t, all, name)
		if got := *route.Spec.Rules[0].Timeouts.Request; got != want {
			t.Errorf("%s: requests end after %s, want %s", name, got, want)
		}
		backend := route.Spec.Rules[0].BackendRefs[0]
		if string(backend.Name) != name || only[*core.Service](t, all, name).Spec.Ports[0].Port != *backend.Port {
			t.Errorf("%s leads to %+v", name, backend)
		}
	}
}
