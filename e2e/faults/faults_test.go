// Package faults_test is the short form of the fault suite; the command e2e/cmd/faults is the long one.
package faults_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/failpoint"
	"github.com/cupline/cupline/e2e/faults/clock"
	"github.com/cupline/cupline/e2e/faults/suite"
	"github.com/cupline/cupline/local/services"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(m.Run())
}

// seed is one whose short plan breaks processes, also at points in their work, links, the broker, the database and a clock, and adds
// a dispatcher for a while.
const seed = 184

func TestEveryAcceptedCommandEndsInOneOutcome(t *testing.T) {
	folder := t.TempDir()
	report, err := suite.Run(t.Context(), suite.Config{
		Seed: seed, Faults: 30 * time.Second, Rate: 4, Folder: folder, Progress: t.Output(),
	})
	t.Log(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	if report.Commands < 100 || report.Executions < 50 || len(report.Faults) < 3 {
		t.Errorf("the run was too thin to show anything: %s", report)
	}
	onlyInTestBuilds(t, filepath.Join(folder, "site", "bin"))
}

// onlyInTestBuilds compares the programs that the suite has built with those that are shipped.
func onlyInTestBuilds(t *testing.T, tested string) {
	root, err := services.Root()
	if err != nil {
		t.Fatal(err)
	}
	shipped := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", shipped+string(filepath.Separator),
		"./api/cmd/api", "./dispatcher/cmd/dispatcher", "./pusher/cmd/pusher")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, program := range []string{services.API, services.Dispatcher, services.Pusher} {
		for _, word := range []string{"chassis/failpoint", failpoint.Folder, string(failpoint.BeforePublish), clock.Variable} {
			if holds(t, filepath.Join(shipped, program), word) {
				t.Errorf("%s has %q in it", program, word)
			}
			if !holds(t, filepath.Join(tested, program), word) {
				t.Errorf("%s as it is tested has no %q in it", program, word)
			}
		}
	}
}

// holds tells whether a program has a word among its symbols, names or data.
func holds(t *testing.T, program, word string) bool {
	t.Helper()
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(content, []byte(word))
}
