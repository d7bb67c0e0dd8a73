package chart_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
)

// changed renders a copy of the chart in which a file's text was replaced, with quickstart.
func changed(t *testing.T, file, old, with string, args ...string) []object {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "cupline")
	if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(copied, file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not have %s", file, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, with)), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"template", "cupline", copied, "--namespace", "shop", "--set", "quickstart.enabled=true"}, args...)
	said, err := helm(t, 3, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return decode(t, said)
}

// TestAnotherVersionOfTheChartLeavesTheQuickstartsDataAlone: a pod whose labels change is replaced, and its data goes with it.
func TestAnotherVersionOfTheChartLeavesTheQuickstartsDataAlone(t *testing.T) {
	t.Parallel()
	before, after := rendered(t, "quickstart"), changed(t, "Chart.yaml", "version: ", "version: 9")
	for _, name := range []string{"cupline-rabbitmq", "cupline-postgres"} {
		old, fresh := only[*apps.StatefulSet](t, before, name), only[*apps.StatefulSet](t, after, name)
		if old.Labels["helm.sh/chart"] == fresh.Labels["helm.sh/chart"] {
			t.Fatal("the test's own premise: the version is the same")
		}
		if !reflect.DeepEqual(old.Spec, fresh.Spec) {
			t.Errorf("%s: the pods are replaced:\n%+v\n%+v", name, old.Spec, fresh.Spec)
		}
	}
	old, fresh := only[*apps.StatefulSet](t, before, "cupline-pusher"), only[*apps.StatefulSet](t, after, "cupline-pusher")
	if !reflect.DeepEqual(old.Spec.Selector, fresh.Spec.Selector) || old.Spec.ServiceName != fresh.Spec.ServiceName {
		t.Error("what cannot be changed of a StatefulSet depends on the version")
	}
}

// TestEveryRevisionMigrates: a Job that failed, or whose database was lost, is not run again under its name.
func TestEveryRevisionMigrates(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, revision := range []string{"1", "2"} {
		for _, o := range changed(t, "templates/migrate.yaml", ".Release.Revision", ".Values.global.revision", "--set", "global.revision="+revision) {
			if job, ok := o.(*batch.Job); ok {
				names[job.Name] = true
			}
		}
	}
	if len(names) != 2 {
		t.Errorf("two revisions have the Jobs %v", names)
	}
}

// TestMigrationsBearARollbackAndWhatDiffers: the release before finds a newer schema after a rollback, and a broker on which
// something differs works all the same.
func TestMigrationsBearARollbackAndWhatDiffers(t *testing.T) {
	t.Parallel()
	steps := func(args ...string) map[string]string {
		found := map[string]string{}
		all := rendered(t, "minimal", args...)
		for _, name := range []string{"cupline-migrate", "cupline-test"} {
			for _, c := range pod(t, all, name).containers() {
				found[c.Name] = strings.Join(c.Args, " ")
			}
		}
		return found
	}
	usual, strict := steps(), steps("--set", "migrations.strictTopology=true")
	if usual["migrate"] != "migrate up --allow-newer" || usual["database"] != "migrate status --allow-newer" {
		t.Errorf("%v", usual)
	}
	const apply = "topology apply --user-prefix cupline"
	if usual["topology"] != apply+" --leave-changed" || strict["topology"] != apply {
		t.Errorf("%q, and strict %q", usual["topology"], strict["topology"])
	}
	// Helm waits for 5 minutes unless told otherwise.
	job := only[*batch.Job](t, rendered(t, "minimal"), "cupline-migrate")
	pauses := 10 * (1<<*job.Spec.BackoffLimit - 1)
	if pauses > 120 || job.Spec.Template.Spec.RestartPolicy != core.RestartPolicyNever {
		t.Errorf("it fails after %d s of pauses, restarted %s", pauses, job.Spec.Template.Spec.RestartPolicy)
	}
	// A Secret of a database that is gone gets another token.
	for _, rule := range only[*rbac.Role](t, rendered(t, "minimal"), "cupline-migrate").Rules {
		if len(rule.ResourceNames) == 1 && strings.Join(rule.Verbs, " ") != "get patch" {
			t.Errorf("%+v", rule)
		}
	}
}

// TestListsHaveNoKeyTwice: server-side apply, as Helm 4 does it, refuses an object in which an entry of such a list is there twice.
func TestListsHaveNoKeyTwice(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, all []object) {
		for _, w := range workloads(all) {
			if w.pod.SecurityContext.FSGroupChangePolicy == nil || *w.pod.SecurityContext.FSGroupChangePolicy != core.FSGroupChangeOnRootMismatch {
				t.Errorf("%s: files that only their owner may read are opened to the group", w.GetName())
			}
			seen := map[string]bool{}
			once := func(keys ...string) {
				key := strings.Join(keys, " ")
				if seen[key] {
					t.Errorf("%s has %s twice", w.GetName(), key)
				}
				seen[key] = true
			}
			for _, v := range w.pod.Volumes {
				once("volume", v.Name)
			}
			for _, c := range w.containers() {
				once("container", c.Name)
				for _, e := range c.Env {
					once(c.Name, "variable", e.Name)
				}
				for _, m := range c.VolumeMounts {
					once(c.Name, "mount", m.MountPath)
				}
				for _, p := range c.Ports {
					once(c.Name, "port", p.Name)
				}
			}
		}
	})
}
