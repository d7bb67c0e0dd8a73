package chart_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cupline/cupline/install/chart"
)

var update = flag.Bool("update", false, "write the golden output and the chart's README anew")

func TestWrongCombinationsFailWithASentence(t *testing.T) {
	t.Parallel()
	minimal := []string{"--set", "rabbitmq.existingSecret=a,postgres.existingSecret=b"}
	for _, c := range []struct {
		set, says string
		bare      bool
	}{
		{says: "rabbitmq.existingSecret is empty", bare: true},
		{set: "rabbitmq.existingSecret=a", says: "postgres.existingSecret is empty", bare: true},
		{set: "quickstart.enabled=true", says: "quickstart.enabled brings its own"},
		{set: "rabbitmq.management.enabled=false", says: "migrations.topology compares"},
		{set: "dispatchers[0].name=default,dispatchers[0].lanes={x},dispatchers[1].name=default,dispatchers[1].lanes={y}", says: "names \"default\" twice"},
		{set: "dispatcherDefaults.autoscaling.minReplicas=20", says: "minReplicas 20 is more than maxReplicas 10"},
		{set: "api.settings.CUPLINE_DRAIN=1s", says: "which the chart sets itself"},
		{set: "api.ingress.enabled=true", says: "needs api.ingress.host"},
		{set: "pusher.route.enabled=true", says: "needs pusher.route.parentRefs"},
		{set: "api.ingress.enabled=true,api.ingress.host=x,pusher.ingress.enabled=true,pusher.ingress.host=x", says: "hosts of their own"},
		{set: "certManager.issuer=a,certManager.clusterIssuer=b", says: "a certificate has one issuer"},
		{set: "pusher.autoscaling.kind=keda", says: "needs pusher.autoscaling.prometheusAddress"},
		{set: "metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true", says: "scraped twice"},
		{set: "migrations.topology=false,rabbitmq.management.enabled=false,dispatcherDefaults.autoscaling.kind=keda", says: "through the management API"},
		{set: "rabbitmq.users.secrets.api=x", says: "names no Secret for dispatcher"},
		{set: "postgres.logins.secrets.pusher=x", says: "names no Secret for api"},
		{set: "rabbitmq.users.existingSecret=x,rabbitmq.hostKey=", says: "needs rabbitmq.host or rabbitmq.hostKey"},
		{set: "rabbitmq.tls.enabled=true", says: "says amqps:// itself"},
		{set: "jwt.jwksUrl=https://x", says: "needs jwt.issuer and jwt.audience"},
		{set: "jwt.issuer=x", says: "where are the issuer's keys"},
		{set: "jwt.jwksUrl=http://x", says: "jwksUrl"},
		{set: "deviceLogins.certificates=true", says: "RabbitMQ would not ask"},
		{set: "deviceLogins.disconnect.existingSecret=x", says: "no device has a credential to revoke"},
		{set: "deviceLogins.enabled=true,networkPolicy.enabled=true", says: "say where it is"},
		{set: "api.tls.issue=true", says: "the Secret that the certificate goes to"},
		{set: "pusher.tls.issue=true,pusher.tls.secretName=x", says: "needs certManager.issuer"},
		{set: "quickstart.enabled=true,rabbitmq.tls.caSecret=x,rabbitmq.existingSecret=,postgres.existingSecret=", says: "without certificates"},
		{set: "quickstart.enabled=true,migrations.topology=false,rabbitmq.existingSecret=,postgres.existingSecret=", says: "an empty RabbitMQ"},
		{set: "quickstart.enabled=true,networkPolicy.enabled=true,rabbitmq.existingSecret=,postgres.existingSecret=", says: "does not know the pods of quickstart"},
		{set: "dispatcherDefaults.autoscaling.kind=hpa,dispatcherDefaults.resources.requests.cpu=null", says: "needs resources.requests.cpu"},
		{set: "extraEnv[0].name=DATABASE_URL,extraEnv[0].value=x", says: "the variable DATABASE_URL is set twice"},
		{set: "extraEnv[0].name=CUPLINE_ORIGINS,extraEnv[0].value=x,pusher.settings.CUPLINE_ORIGINS=y", says: "cupline-pusher: the variable CUPLINE_ORIGINS is set twice"},
		{set: "api.settings.CUPLINE_JWT_ISSUER=x", says: "which the chart sets itself"},
		{set: "rabbitmq.users.secrets.worker=x", says: "worker"},
		{set: "apii.replicas=3", says: "apii"},
		{set: "api.replica=3", says: "replica"},
		{set: "logLevel=loud", says: "logLevel"},
	} {
		args := []string{"template", "cupline", folder}
		if !c.bare {
			args = append(args, minimal...)
		}
		if c.set != "" {
			args = append(args, "--set", c.set)
		}
		for major := range helms {
			if said, err := helm(t, major, args...); err == nil || !strings.Contains(said, c.says) {
				t.Errorf("helm %d, %s: err %v, want %q in\n%s", major, c.set, err, c.says, said)
			}
		}
	}
}

func TestDefaultsAreGolden(t *testing.T) {
	t.Parallel()
	got := template(t, 3, "-f", filepath.Join(folder, "ci", "minimal-values.yaml"))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the chart renders otherwise than %s; after a look at the difference: go test ./chart -update", golden)
	}
}

func TestEveryValueIsExplainedInTheReadme(t *testing.T) {
	t.Parallel()
	values, err := os.ReadFile(filepath.Join(folder, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := chart.Readme(values)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "README.md")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what values.yaml says: go -C install run ./cmd/chartreadme", path)
	}
}

func TestTheSchemaIsClosed(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(folder, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	open := 0
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		properties, _ := node["properties"].(map[string]any)
		if properties != nil {
			if node["additionalProperties"] != false {
				t.Errorf("%s is open", path)
			}
			for name, child := range properties {
				walk(path+"."+name, child.(map[string]any))
			}
		} else if node["type"] == "object" && node["additionalProperties"] == nil {
			open++
			if path != ".global" {
				t.Errorf("%s is open", path)
			}
		}
	}
	walk("", schema)
	if open != 1 {
		t.Errorf("%d open objects, want global alone", open)
	}
}
