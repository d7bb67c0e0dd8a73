package chart_test

import (
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	autoscaling "k8s.io/api/autoscaling/v2"
	networking "k8s.io/api/networking/v1"
)

// outward are the ports and the networks that a policy lets out to.
func outward(p *networking.NetworkPolicy) (ports, networks []string) {
	for _, rule := range p.Spec.Egress {
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.String())
		}
		for _, peer := range rule.To {
			if peer.IPBlock != nil {
				networks = append(networks, peer.IPBlock.CIDR)
			}
		}
	}
	return ports, networks
}

// TestPoliciesLetOutToWhatEachNeeds and to nothing else.
func TestPoliciesLetOutToWhatEachNeeds(t *testing.T) {
	t.Parallel()
	all := rendered(t, "keda")
	for name, want := range map[string]struct{ ports, networks string }{
		"cupline-api":                {"53 53 5672 5671 15672 5432 4318", ""},
		"cupline-pusher":             {"53 53 5672 5671 15672 5432 4318", ""},
		"cupline-recorder":           {"53 53 5672 5671 5432 4318", ""},
		"cupline-dispatcher-default": {"53 53 5672 5671 5432 4318", "10.20.0.0/16"},
		"cupline-migrate":            {"53 53 5672 5671 15672 5432 443 6443", ""},
		"cupline-test":               {"53 53 5672 5671 15672 5432", ""},
	} {
		p := only[*networking.NetworkPolicy](t, all, name)
		ports, networks := outward(p)
		if got := strings.Join(ports, " "); got != want.ports || strings.Join(networks, " ") != want.networks {
			t.Errorf("%s lets out to %s and %v, want %s and %s", name, got, networks, want.ports, want.networks)
		}
		if !slices.Equal(p.Spec.PolicyTypes, []networking.PolicyType{networking.PolicyTypeIngress, networking.PolicyTypeEgress}) {
			t.Errorf("%s is about %v", name, p.Spec.PolicyTypes)
		}
	}
	// Clients come to the public port only, and Prometheus to the internal one.
	for _, rule := range only[*networking.NetworkPolicy](t, all, "cupline-pusher").Spec.Ingress {
		from := rule.From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]
		if want := map[string]string{"http": "ingress-nginx", "internal": "monitoring"}[rule.Ports[0].Port.StrVal]; from != want {
			t.Errorf("%s may be reached from %s", rule.Ports[0].Port.StrVal, from)
		}
	}
}

// TestPushersGoSlowly: each one that goes sends all its clients elsewhere.
func TestPushersGoSlowly(t *testing.T) {
	t.Parallel()
	scaler := only[*keda.ScaledObject](t, rendered(t, "keda"), "cupline-pusher")
	hpa := only[*autoscaling.HorizontalPodAutoscaler](t, rendered(t, "hpa"), "cupline-pusher")
	if hpa.Spec.Metrics[0].Pods == nil || hpa.Spec.Metrics[0].Pods.Metric.Name != "cupline_push_sessions" ||
		!strings.Contains(scaler.Spec.Triggers[0].Metadata["query"], "cupline_push_sessions") {
		t.Errorf("scaled by %+v and %+v", hpa.Spec.Metrics, scaler.Spec.Triggers)
	}
	for _, behavior := range []*autoscaling.HorizontalPodAutoscalerBehavior{
		hpa.Spec.Behavior, scaler.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior,
	} {
		down := behavior.ScaleDown
		if *down.StabilizationWindowSeconds != 600 || len(down.Policies) != 1 || down.Policies[0].Value != 1 || down.Policies[0].PeriodSeconds != 600 {
			t.Errorf("%+v", down)
		}
	}
}
