// Package faults_test is the short form of the fault suite; the command e2e/cmd/faults is the long one.
package faults_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/cupline/cupline/e2e/faults/suite"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs processes
	}
	os.Exit(m.Run())
}

// seed is one whose short plan breaks processes, links, the broker and the database.
const seed = 2

func TestEveryAcceptedCommandEndsInOneOutcome(t *testing.T) {
	report, err := suite.Run(t.Context(), suite.Config{
		Seed: seed, Faults: 30 * time.Second, Rate: 4, Folder: t.TempDir(), Progress: t.Output(),
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
}
