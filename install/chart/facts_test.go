package chart_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

// forEach runs a test on what each case renders, with both Helms.
func forEach(t *testing.T, test func(t *testing.T, all []object)) {
	t.Helper()
	for _, file := range cases(t) {
		for major := range helms {
			t.Run(filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				test(t, decode(t, template(t, major, "-f", file)))
			})
		}
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	for _, file := range cases(t) {
		for major := range helms {
			if said, err := helm(t, major, "lint", "--strict", folder, "-f", file); err != nil {
				t.Errorf("helm %d lint %s: %v\n%s", major, file, err, said)
			}
		}
	}
}

func TestEveryPodIsRestricted(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, all []object) {
		if len(workloads(all)) < 5 {
			t.Fatalf("only %d workloads", len(workloads(all)))
		}
		for _, w := range workloads(all) {
			restricted(t, w)
		}
	})
}

// restricted holds a pod to the Pod Security Standard of that name, and to what we ask beyond it.
func restricted(t *testing.T, w workload) {
	t.Helper()
	name := w.GetName()
	if s := w.pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot ||
		s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: pod security %+v", name, s)
	}
	if w.pod.AutomountServiceAccountToken == nil || *w.pod.AutomountServiceAccountToken {
		t.Errorf("%s: mounts a service account's token", name)
	}
	if w.pod.HostNetwork || w.pod.HostPID || w.pod.HostIPC {
		t.Errorf("%s: shares the host's namespaces", name)
	}
	for _, volume := range w.pod.Volumes {
		if volume.HostPath != nil {
			t.Errorf("%s: mounts the host's %s", name, volume.HostPath.Path)
		}
	}
	for _, c := range w.containers() {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
			s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.Capabilities == nil ||
			!slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
			t.Errorf("%s/%s: container security %+v", name, c.Name, s)
		}
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s/%s: resources %v", name, c.Name, c.Resources)
		}
		for _, e := range c.Env {
			if strings.Contains(e.Name, "PASSWORD") && e.Value != "" && !strings.HasSuffix(e.Name, "_FILE") {
				t.Errorf("%s/%s: %s is plain", name, c.Name, e.Name)
			}
		}
	}
}

func TestGraceCoversWhatEndingTakes(t *testing.T) {
	t.Parallel()
	all := rendered(t, "keda")
	for name, want := range map[string]int64{
		"cupline-api": 5 + 20 + 10 + 5, "cupline-dispatcher-slow": 5 + 300 + 15 + 5, "cupline-recorder": 5 + 20 + 15 + 5,
	} {
		d := only[*apps.Deployment](t, all, name)
		if got := *d.Spec.Template.Spec.TerminationGracePeriodSeconds; got != want {
			t.Errorf("%s: grace %d, want %d", name, got, want)
		}
		stop := d.Spec.Template.Spec.Containers[0].Lifecycle.PreStop
		if stop.Sleep == nil || stop.Exec != nil {
			t.Errorf("%s: preStop %+v: there is no shell in the image", name, stop)
		}
		if r := d.Spec.Strategy.RollingUpdate; r.MaxSurge.IntValue() != 1 || r.MaxUnavailable.IntValue() != 0 {
			t.Errorf("%s: strategy %+v", name, r)
		}
	}
	if got := *only[*apps.StatefulSet](t, all, "cupline-pusher").Spec.Template.Spec.TerminationGracePeriodSeconds; got != 5+60+18+5 {
		t.Errorf("pusher: grace %d", got)
	}
}

func TestReplicasAreLeftToWhoScales(t *testing.T) {
	t.Parallel()
	for name, stated := range map[string]map[string]int32{
		"minimal": {"cupline-api": 2, "cupline-dispatcher-default": 2, "cupline-recorder": 2, "cupline-pusher": 2},
		"keda":    {"cupline-api": 2, "cupline-recorder": 2},
		"hpa":     {"cupline-recorder": 2},
		"plain":   {"cupline-recorder": 2},
	} {
		for _, w := range workloads(rendered(t, name)) {
			if w.kind != "Deployment" && w.kind != "StatefulSet" {
				continue
			}
			want, told := stated[w.GetName()]
			if told != (w.replicas != nil) || told && *w.replicas != want {
				t.Errorf("%s: %s has replicas %v, want %d (stated: %v)", name, w.GetName(), w.replicas, want, told)
			}
		}
	}
}

func TestScalersAimAtWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"keda", "hpa"} {
		all := rendered(t, name)
		targets := map[string]bool{}
		for _, w := range workloads(all) {
			targets[w.kind+" "+w.GetName()] = true
		}
		scalers := 0
		for _, o := range all {
			target := ""
			switch o := o.(type) {
			case *autoscaling.HorizontalPodAutoscaler:
				target = o.Spec.ScaleTargetRef.Kind + " " + o.Spec.ScaleTargetRef.Name
			case *keda.ScaledObject:
				kind := o.Spec.ScaleTargetRef.Kind
				if kind == "" {
					kind = "Deployment"
				}
				target = kind + " " + o.Spec.ScaleTargetRef.Name
			default:
				continue
			}
			scalers++
			if !targets[target] {
				t.Errorf("%s: %s scales %s, which is not there", name, o.GetName(), target)
			}
		}
		if scalers != 3 {
			t.Errorf("%s: %d scalers, want 3", name, scalers)
		}
	}
	slow := only[*keda.ScaledObject](t, rendered(t, "keda"), "cupline-dispatcher-slow")
	if len(slow.Spec.Triggers) != 2 || slow.Spec.Triggers[0].Metadata["queueName"] != "cupline.work.slow" ||
		slow.Spec.Triggers[0].Metadata["protocol"] != "http" || slow.Spec.Triggers[0].Metadata["value"] != "5000" {
		t.Errorf("triggers %+v", slow.Spec.Triggers)
	}
}

func TestTheMigrationDependsOnNothingOfTheRelease(t *testing.T) {
	t.Parallel()
	all := rendered(t, "minimal")
	job := only[*batch.Job](t, all, "cupline-migrate")
	hooks := map[string]bool{}
	for _, o := range all {
		if o.GetAnnotations()["helm.sh/hook"] == "pre-install,pre-upgrade" {
			hooks[o.GetName()] = true
		}
	}
	if !hooks[job.Name] || !hooks[job.Spec.Template.Spec.ServiceAccountName] {
		t.Errorf("job %s and account %s must both be hooks: %v", job.Name, job.Spec.Template.Spec.ServiceAccountName, hooks)
	}
	for _, w := range workloads([]object{job}) {
		for _, c := range w.containers() {
			for _, e := range c.Env {
				if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
					continue
				}
				if secret := e.ValueFrom.SecretKeyRef.Name; secret != "broker-default-user" && secret != "database-app" {
					t.Errorf("%s reads the Secret %s", c.Name, secret)
				}
			}
		}
	}
	for _, name := range []string{"plain", "quickstart"} {
		all := rendered(t, name)
		for _, o := range all {
			if strings.HasPrefix(o.GetAnnotations()["helm.sh/hook"], "pre-") {
				t.Errorf("%s: %s is a hook, before what it needs is there", name, o.GetName())
			}
		}
		if count[*batch.Job](all) != 1 {
			t.Errorf("%s: no Job", name)
		}
	}
}

func TestOnlyTheAdminKeysStepSeesAToken(t *testing.T) {
	t.Parallel()
	all := rendered(t, "minimal")
	for _, w := range workloads(all) {
		for _, c := range w.containers() {
			if mounted := len(c.VolumeMounts) > 0; mounted != (c.Name == "admin-key") {
				t.Errorf("%s/%s mounts %v", w.GetName(), c.Name, c.VolumeMounts)
			}
		}
	}
	for _, rule := range only[*rbac.Role](t, all, "cupline-migrate").Rules {
		making := slices.Equal(rule.Verbs, []string{"create"})
		looking := slices.Equal(rule.Verbs, []string{"get", "patch"}) && slices.Equal(rule.ResourceNames, []string{"cupline-admin-key"})
		if !slices.Equal(rule.Resources, []string{"secrets"}) || !making && !looking {
			t.Errorf("rule %+v", rule)
		}
	}
	if plain := rendered(t, "plain"); count[*rbac.Role](plain)+count[*core.ServiceAccount](plain) != 0 {
		t.Error("plain: rights are asked for that nothing needs")
	}
}

func TestServicesFindTheirPods(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, all []object) {
		for _, o := range all {
			service, ok := o.(*core.Service)
			if !ok {
				continue
			}
			found := 0
			for _, w := range workloads(all) {
				if !subset(service.Spec.Selector, w.template.Labels) {
					continue
				}
				found++
				for _, port := range service.Spec.Ports {
					offered := slices.ContainsFunc(w.pod.Containers[0].Ports, func(p core.ContainerPort) bool { return p.Name == port.TargetPort.StrVal })
					if !offered && port.Name != "internal" {
						t.Errorf("service %s: %s has no port %s", service.Name, w.GetName(), port.TargetPort.String())
					}
				}
			}
			if found == 0 {
				t.Errorf("service %s finds no pods", service.Name)
			}
			for _, port := range service.Spec.Ports {
				if port.TargetPort.StrVal == "internal" && service.Spec.Type != core.ServiceTypeClusterIP && service.Spec.ClusterIP != core.ClusterIPNone {
					t.Errorf("service %s makes the internal port public", service.Name)
				}
			}
		}
		for _, o := range all {
			if budget, ok := o.(*policy.PodDisruptionBudget); ok && budget.Spec.MaxUnavailable.IntValue() != 1 {
				t.Errorf("%s: %+v", budget.Name, budget.Spec)
			}
		}
	})
}

func subset(part, whole map[string]string) bool {
	for k, v := range part {
		if whole[k] != v {
			return false
		}
	}
	return len(part) > 0
}

func TestPublicWaysLeadToPublicPorts(t *testing.T) {
	t.Parallel()
	all := rendered(t, "keda")
	push := only[*networking.Ingress](t, all, "cupline-pusher")
	if push.Annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] != "3600" || push.Annotations["cert-manager.io/cluster-issuer"] != "letsencrypt" {
		t.Errorf("annotations %v", push.Annotations)
	}
	for _, name := range []string{"cupline-api", "cupline-pusher"} {
		backend := only[*networking.Ingress](t, all, name).Spec.Rules[0].HTTP.Paths[0].Backend.Service
		if backend.Port.Name != "http" || only[*core.Service](t, all, backend.Name).Spec.Ports[0].TargetPort.StrVal != "http" {
			t.Errorf("%s leads to %+v", name, backend)
		}
	}
	route := only[*gateway.HTTPRoute](t, rendered(t, "hpa"), "cupline-pusher")
	if limit := route.Spec.Rules[0].Timeouts.Request; limit == nil || *limit != "0s" {
		t.Errorf("the pushers' route ends sockets after %v", limit)
	}
}

func TestPoliciesCoverEveryServicesPods(t *testing.T) {
	t.Parallel()
	all := rendered(t, "keda")
	for _, w := range workloads(all) {
		covered := false
		for _, o := range all {
			if p, ok := o.(*networking.NetworkPolicy); ok && subset(p.Spec.PodSelector.MatchLabels, w.template.Labels) {
				covered = true
				if ports := p.Spec.Egress[0].Ports; len(ports) != 2 || ports[0].Port.IntValue() != 53 {
					t.Errorf("%s: no DNS: %v", p.Name, ports)
				}
			}
		}
		if !covered {
			t.Errorf("no NetworkPolicy covers %s", w.GetName())
		}
	}
}
