package chart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cnpg "github.com/cloudnative-pg/cloudnative-pg/api/v1"
	rabbit "github.com/rabbitmq/cluster-operator/v2/api/v1beta1"
	core "k8s.io/api/core/v1"
	strict "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// example decodes a file of examples/ strictly.
func example(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := strict.UnmarshalStrict(asJSON, into); err != nil || len(problems) > 0 {
		t.Fatalf("%s: %v %v", name, err, problems)
	}
}

func TestTheExamplesBrokerAsksTheAPIAboutDevices(t *testing.T) {
	t.Parallel()
	var broker rabbit.RabbitmqCluster
	example(t, "rabbitmq.yaml", &broker)
	for _, plugin := range []rabbit.Plugin{"rabbitmq_mqtt", "rabbitmq_auth_backend_http", "rabbitmq_auth_backend_cache"} {
		if !slices.Contains(broker.Spec.Rabbitmq.AdditionalPlugins, plugin) {
			t.Errorf("no plugin %s", plugin)
		}
	}
	file, err := os.ReadFile(filepath.Join(folder, "files", "devices.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if broker.Spec.Rabbitmq.AdditionalConfig != string(file) {
		t.Error("additionalConfig is not files/devices.conf")
	}
	if broker.Kind != "RabbitmqCluster" || broker.APIVersion != "rabbitmq.com/v1beta1" || broker.Name != "broker" {
		t.Errorf("%s %s %s", broker.APIVersion, broker.Kind, broker.Name)
	}
}

// devicesSettings are the lines of files/devices.conf without addresses.
func devicesSettings(t *testing.T) []string {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(folder, "files", "devices.conf"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(file)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			before, _, _ := strings.Cut(line, "http://")
			lines = append(lines, before)
		}
	}
	return lines
}

// TestDevicesLogInTheSameWayEverywhere: where the broker's settings are written down again, nothing is forgotten.
func TestDevicesLogInTheSameWayEverywhere(t *testing.T) {
	t.Parallel()
	quickstart := only[*core.ConfigMap](t, rendered(t, "quickstart"), "cupline-rabbitmq").Data["cupline.conf"]
	if !strings.Contains(quickstart, "http://cupline-api-broker:9100/broker/user") {
		t.Errorf("quickstart asks elsewhere:\n%s", quickstart)
	}
	texts := map[string]string{"quickstart": quickstart}
	for _, name := range []string{"compose.yaml", "docs/install.md"} {
		content, err := os.ReadFile(filepath.Join(checkout, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(content)
	}
	for name, text := range texts {
		for _, line := range devicesSettings(t) {
			if !strings.Contains(text, line) {
				t.Errorf("%s lacks %q", name, line)
			}
		}
	}
}

func TestTheExamplesDatabaseHasTheServicesUsers(t *testing.T) {
	t.Parallel()
	var cluster cnpg.Cluster
	example(t, "postgres.yaml", &cluster)
	if cluster.Spec.Instances < 3 || cluster.Spec.PostgresConfiguration.Synchronous == nil {
		t.Errorf("%d instances, synchronous %v", cluster.Spec.Instances, cluster.Spec.PostgresConfiguration.Synchronous)
	}
	roles := strings.Join(cluster.Spec.Bootstrap.InitDB.PostInitSQL, ";")
	users := map[string]bool{}
	for _, user := range cluster.Spec.Managed.Roles {
		users[user.Name] = true
		if !user.Login || user.PasswordSecret.Name != "database-"+user.Name || !slices.Equal(user.InRoles, []string{"cupline_" + user.Name}) ||
			!strings.Contains(roles, "create role cupline_"+user.Name+" nologin") {
			t.Errorf("%+v", user)
		}
	}
	for _, service := range []string{"api", "dispatcher", "recorder", "pusher", "janitor"} {
		if !users[service] {
			t.Errorf("no user for %s", service)
		}
	}
}

// TestTheExamplesSecretsAreThoseThatAreAskedFor runs secrets.sh with a kubectl that says what it is told, and compares with
// what the chart wants with examples/values.yaml.
func TestTheExamplesSecretsAreThoseThatAreAskedFor(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	told := filepath.Join(bin, "told")
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte("#!/bin/sh\necho \"$@\" >> "+told+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := exec.CommandContext(t.Context(), "sh", filepath.Join(folder, "examples", "secrets.sh"))
	script.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	if said, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	content, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{ // what the operators make
		"broker-default-user/connection_string": true, "broker-default-user/host": true, "broker-default-user/username": true,
		"broker-default-user/password": true, "database-app/uri": true, "database-ca/ca.crt": true,
	}
	for line := range strings.Lines(string(content)) {
		words := strings.Fields(line)
		for _, word := range words {
			if entry, found := strings.CutPrefix(word, "--from-literal="); found {
				key, value, _ := strings.Cut(entry, "=")
				if len(value) < 3 {
					t.Errorf("%s has %q for %s", words[3], value, key)
				}
				made[words[3]+"/"+key] = true
			}
		}
	}
	all := decode(t, template(t, 3, "-f", filepath.Join(folder, "examples", "values.yaml")))
	for _, w := range workloads(all) {
		for _, c := range w.containers() {
			for name, from := range env(c) {
				if strings.Contains(from, "/") && !strings.Contains(from, ":") && !strings.HasPrefix(from, "/") && !made[from] {
					t.Errorf("%s: %s is %s, which nobody makes", w.GetName(), name, from)
				}
			}
		}
		for _, v := range w.pod.Volumes {
			if v.Secret != nil && !made[v.Secret.SecretName+"/"+v.Secret.Items[0].Key] {
				t.Errorf("%s mounts %s, which nobody makes", w.GetName(), v.Secret.SecretName)
			}
		}
	}
}
