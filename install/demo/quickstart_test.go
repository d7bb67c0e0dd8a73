package demo_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/cupline/cupline/install/chart"
)

// release is what the chart makes of quickstart, by kind and name.
type release struct {
	secrets map[string]map[string]string
	config  map[string]map[string]string
	pods    map[string]core.PodSpec // of Deployments and StatefulSets
	job     core.PodSpec
	test    core.PodSpec // of helm test
}

func quickstart(t *testing.T) release {
	t.Helper()
	helm, err := chart.BuildHelm(t.Context(), "..", filepath.Join(checkout, ".bin"), 3)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), helm, "template", "cupline", filepath.Join(checkout, "helm"), "--set", "quickstart.enabled=true")
	command.Env = []string{"HOME=" + t.TempDir()}
	var said bytes.Buffer
	command.Stderr = &said
	text, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	r := release{secrets: map[string]map[string]string{}, config: map[string]map[string]string{}, pods: map[string]core.PodSpec{}}
	for document := range strings.SplitSeq("\n"+string(text), "\n---") {
		r.add(t, []byte(document))
	}
	return r
}

func (r *release) add(t *testing.T, document []byte) {
	t.Helper()
	var kind struct{ Kind string }
	read := func(into any) {
		if err := yaml.Unmarshal(document, into); err != nil {
			t.Fatal(err)
		}
	}
	switch read(&kind); kind.Kind {
	case "Secret":
		var o core.Secret
		read(&o)
		r.secrets[o.Name] = o.StringData
	case "ConfigMap":
		var o core.ConfigMap
		read(&o)
		r.config[o.Name] = o.Data
	case "Deployment":
		var o apps.Deployment
		read(&o)
		r.pods[o.Name] = o.Spec.Template.Spec
	case "StatefulSet":
		var o apps.StatefulSet
		read(&o)
		r.pods[o.Name] = o.Spec.Template.Spec
	case "Pod":
		var o core.Pod
		read(&o)
		r.test = o.Spec
	case "Job":
		var o batch.Job
		read(&o)
		r.job = o.Spec.Template.Spec
	}
}

// container is what the kubelet makes of one: Secrets looked up, $(NAME) replaced by what was named before.
func (r *release) container(t *testing.T, name string, c core.Container) program {
	t.Helper()
	p := program{name: name, command: append(slices.Clone(c.Command), c.Args...), env: map[string]string{}}
	for _, e := range c.Env {
		value := regexp.MustCompile(`\$\((\w+)\)`).ReplaceAllStringFunc(e.Value, func(ref string) string {
			known, found := p.env[ref[2:len(ref)-1]]
			if !found {
				t.Errorf("%s: %s names %s before it is there", name, e.Name, ref)
			}
			return known
		})
		if from := e.ValueFrom; from != nil {
			switch {
			case from.SecretKeyRef != nil:
				found := false
				if value, found = r.secrets[from.SecretKeyRef.Name][from.SecretKeyRef.Key]; !found {
					t.Errorf("%s: no Secret has %s of %s", name, from.SecretKeyRef.Key, from.SecretKeyRef.Name)
				}
			case from.FieldRef != nil:
				value = name + "-0"
			default:
				continue
			}
		}
		p.env[e.Name] = value
	}
	return p
}

// TestTheQuickstartRunsTheDemo does what a cluster does with the chart, and then what NOTES tells a newcomer.
func TestTheQuickstartRunsTheDemo(t *testing.T) {
	t.Parallel()
	r := quickstart(t)
	config, secret := r.config["cupline-rabbitmq"], r.secrets["cupline-quickstart"]
	m := newMachine(t,
		server{"cupline-rabbitmq", secret["username"], secret["password"]}, server{"cupline-postgres", "cupline", secret["password"]},
		words(config["enabled_plugins"]), settings(config["cupline.conf"]), "cupline-api-broker:9100")
	token := ""
	for _, c := range slices.Concat(r.job.InitContainers, r.job.Containers) {
		step := r.container(t, "migrate/"+c.Name, c)
		if at := slices.Index(step.command, "--kubernetes-secret"); at > 0 {
			step.command = step.command[:at] // printed instead of kept
			token = m.once(t, step)
			continue
		}
		m.once(t, step)
	}
	m.once(t, r.container(t, "agent/demo", r.pods["cupline-agent"].InitContainers[0]))
	// The agent logs in through api, so it is ready after it.
	for _, s := range []struct{ name, workload string }{
		{"api", "cupline-api"}, {"dispatcher", "cupline-dispatcher-default"}, {"recorder", "cupline-recorder"},
		{"pusher", "cupline-pusher"}, {"agent", "cupline-agent"},
	} {
		m.start(t, r.container(t, s.name, r.pods[s.workload].Containers[0]))
	}
	accepted := ask(t, m, token, http.MethodPost, "/v1/devices/host/commands", `{"jsonrpc":"2.0","id":"first","method":"host.load"}`)
	if !strings.Contains(accepted, `"id":"first"`) {
		t.Fatalf("the API answers %s", accepted)
	}
	if box := ask(t, m, token, http.MethodGet, "/v1/mailbox?wait=20s", ""); !strings.Contains(box, `"load1"`) || !strings.Contains(box, `"id":"first"`) {
		t.Errorf("the mailbox has %s", box)
	}
	// helm test
	for _, c := range slices.Concat(r.test.InitContainers, r.test.Containers) {
		m.once(t, r.container(t, "test/"+c.Name, c))
	}
	notes, err := os.ReadFile(filepath.Join(checkout, "helm", "templates", "NOTES.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, told := range []string{"/v1/devices/host/commands", `{"jsonrpc":"2.0","id":"first","method":"host.load"}`, "/v1/mailbox?wait=20s"} {
		if !strings.Contains(string(notes), told) {
			t.Errorf("NOTES.txt does not tell %s", told)
		}
	}
}

func ask(t *testing.T, m *machine, token, method, path, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+m.public["api"]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s, %v", method, path, answer.Status, text, err)
	}
	return string(text)
}
