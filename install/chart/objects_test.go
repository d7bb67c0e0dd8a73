package chart_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	cert "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	strict "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// object is one that the API server knows.
type object interface {
	meta.Object
	runtime.Object
}

// empty makes an object of a kind, nil where the chart has no business with it.
func empty(version, kind string) object {
	switch version + " " + kind {
	case "v1 Service":
		return &core.Service{}
	case "v1 ServiceAccount":
		return &core.ServiceAccount{}
	case "v1 Secret":
		return &core.Secret{}
	case "v1 ConfigMap":
		return &core.ConfigMap{}
	case "v1 Pod":
		return &core.Pod{}
	case "apps/v1 Deployment":
		return &apps.Deployment{}
	case "apps/v1 StatefulSet":
		return &apps.StatefulSet{}
	case "batch/v1 Job":
		return &batch.Job{}
	case "policy/v1 PodDisruptionBudget":
		return &policy.PodDisruptionBudget{}
	case "autoscaling/v2 HorizontalPodAutoscaler":
		return &autoscaling.HorizontalPodAutoscaler{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networking.NetworkPolicy{}
	case "networking.k8s.io/v1 Ingress":
		return &networking.Ingress{}
	case "rbac.authorization.k8s.io/v1 Role":
		return &rbac.Role{}
	case "rbac.authorization.k8s.io/v1 RoleBinding":
		return &rbac.RoleBinding{}
	case "gateway.networking.k8s.io/v1 HTTPRoute":
		return &gateway.HTTPRoute{}
	case "keda.sh/v1alpha1 ScaledObject":
		return &keda.ScaledObject{}
	case "keda.sh/v1alpha1 TriggerAuthentication":
		return &keda.TriggerAuthentication{}
	case "cert-manager.io/v1 Certificate":
		return &cert.Certificate{}
	case "monitoring.coreos.com/v1 PodMonitor":
		return &monitoring.PodMonitor{}
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return &monitoring.ServiceMonitor{}
	case "monitoring.coreos.com/v1 PrometheusRule":
		return &monitoring.PrometheusRule{}
	}
	return nil
}

// helm runs it on the chart; what it prints goes together.
func helm(t *testing.T, major int, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), helms[major], args...)
	home := t.TempDir()
	command.Env = []string{"HOME=" + home, "HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home}
	said, err := command.CombinedOutput()
	return string(said), err
}

// renderings are what Helm made of its arguments, once for all tests.
var renderings sync.Map

type rendering struct {
	once sync.Once
	text string
	err  error
}

func template(t *testing.T, major int, args ...string) string {
	t.Helper()
	known, _ := renderings.LoadOrStore(fmt.Sprint(major, args), &rendering{})
	r := known.(*rendering)
	r.once.Do(func() {
		r.text, r.err = helm(t, major, append([]string{"template", "cupline", folder, "--namespace", "shop"}, args...)...)
	})
	if r.err != nil {
		t.Fatalf("helm %d template %v: %v\n%s", major, args, r.err, r.text)
	}
	return r.text
}

// decode takes every document apart; an unknown kind or field, a repeated key or a wrong type fails.
func decode(t *testing.T, text string) []object {
	t.Helper()
	var all []object
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		if content := bytes.TrimSpace(withoutComments(document)); len(content) == 0 {
			continue
		}
		content, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		var kind meta.TypeMeta
		if err := strict.UnmarshalCaseSensitivePreserveInts(content, &kind); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		into := empty(kind.APIVersion, kind.Kind)
		if into == nil {
			t.Fatalf("no type for %s %s", kind.APIVersion, kind.Kind)
		}
		problems, err := strict.UnmarshalStrict(content, into)
		if err != nil || len(problems) > 0 {
			t.Fatalf("%s: %v %v in\n%s", kind.Kind, err, problems, document)
		}
		all = append(all, into)
	}
	return all
}

func withoutComments(document string) []byte {
	var kept []byte
	for line := range strings.Lines(document) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			kept = append(kept, line...)
		}
	}
	return kept
}

// cases are the values of each important combination.
func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "ci", "*-values.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no ci values: %v", err)
	}
	return files
}

// rendered is the chart with a case's values.
func rendered(t *testing.T, name string, args ...string) []object {
	t.Helper()
	file := filepath.Join(folder, "ci", name+"-values.yaml")
	return decode(t, template(t, 3, append([]string{"-f", file}, args...)...))
}

// workload is what the facts are asked of: anything that makes pods.
type workload struct {
	object
	kind string
	pod  core.PodSpec
	// template is the metadata of its pods.
	template meta.ObjectMeta
	replicas *int32
}

func workloads(all []object) []workload {
	var found []workload
	for _, o := range all {
		switch o := o.(type) {
		case *apps.Deployment:
			found = append(found, workload{o, o.Kind, o.Spec.Template.Spec, o.Spec.Template.ObjectMeta, o.Spec.Replicas})
		case *apps.StatefulSet:
			found = append(found, workload{o, o.Kind, o.Spec.Template.Spec, o.Spec.Template.ObjectMeta, o.Spec.Replicas})
		case *batch.Job:
			found = append(found, workload{o, o.Kind, o.Spec.Template.Spec, o.Spec.Template.ObjectMeta, nil})
		case *core.Pod:
			found = append(found, workload{o, o.Kind, o.Spec, o.ObjectMeta, nil})
		}
	}
	return found
}

func (w workload) containers() []core.Container {
	return slices.Concat(w.pod.InitContainers, w.pod.Containers)
}

// only is the one object of a type with a name.
func only[T object](t *testing.T, all []object, name string) T {
	t.Helper()
	for _, o := range all {
		if found, ok := o.(T); ok && found.GetName() == name {
			return found
		}
	}
	var none T
	t.Fatalf("no %T named %s", none, name)
	return none
}

// count of a type.
func count[T object](all []object) int {
	n := 0
	for _, o := range all {
		if _, ok := o.(T); ok {
			n++
		}
	}
	return n
}
