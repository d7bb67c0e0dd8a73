package chart_test

import (
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

func TestTracingIsWiredEverywhereOrNowhere(t *testing.T) {
	t.Parallel()
	for _, w := range workloads(rendered(t, "minimal")) {
		for _, c := range w.pod.Containers {
			if slices.ContainsFunc(c.Env, func(e core.EnvVar) bool { return strings.HasPrefix(e.Name, "OTEL_") }) {
				t.Errorf("%s has a tracing variable, and none was asked for", w.GetName())
			}
		}
	}
	all := rendered(t, "keda")
	traced := 0
	for _, w := range workloads(all) {
		for _, e := range w.pod.Containers[0].Env {
			if e.Name == "OTEL_TRACES_SAMPLER_ARG" && e.Value == "0.05" {
				traced++
			}
		}
	}
	if traced < 5 {
		t.Errorf("%d workloads are traced", traced)
	}
	policy := only[*networking.NetworkPolicy](t, all, "cupline-api")
	if !slices.ContainsFunc(policy.Spec.Egress, func(e networking.NetworkPolicyEgressRule) bool {
		return len(e.Ports) == 1 && e.Ports[0].Port.IntValue() == 4318
	}) {
		t.Errorf("the traces' endpoint cannot be reached: %+v", policy.Spec.Egress)
	}
}

func TestHelmTestRunsTheDoctor(t *testing.T) {
	t.Parallel()
	pod := only[*core.Pod](t, rendered(t, "minimal"), "cupline-test")
	if c := pod.Spec.Containers[0]; !slices.Equal(append(c.Command, c.Args...), []string{"/usr/bin/cupline", "doctor"}) {
		t.Errorf("it runs %v %v", c.Command, c.Args)
	}
}
