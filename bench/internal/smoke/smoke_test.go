package smoke

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/bench/internal/report"
	"github.com/cupline/cupline/bench/internal/suite"
	"github.com/cupline/cupline/local/services"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // it starts a broker, a database and the services
	}
	goleak.VerifyTestMain(m)
}

// Every case runs through real processes, loses and doubles nothing, and has a row in the table.
func TestSmoke(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	root, err := services.Root()
	if err != nil {
		t.Fatal(err)
	}
	cfg := suite.Smoke()
	cfg.Root, cfg.Folder, cfg.Progress = root, filepath.Join(root, ".run", "bench-smoke"), t.Output()
	found, err := suite.Run(ctx, cfg)
	if err != nil {
		t.Error(err)
	}
	var table strings.Builder
	if err := found.Table(&table); err != nil {
		t.Error(err)
	}
	t.Log(table.String())
	for _, one := range suite.Cases() {
		if !strings.Contains(table.String(), " "+one.Name+" ") {
			t.Errorf("the table has no row for %s", one.Name)
		}
	}
	for _, run := range found.Runs {
		check(t, run)
	}
}

// check holds that a run has all of its figures.
func check(t *testing.T, run report.Run) {
	if run.Problem != "" {
		return // told already
	}
	if run.Reading.Rate() <= 0 || run.Latency.P50 <= 0 || len(run.Reading.Costs) < 2 {
		t.Errorf("%s has no figures: %+v", run.Case, run)
	}
	if tally := run.Tally; tally != nil && (tally.Accepted == 0 || tally.Accepted != tally.Outcomes) {
		t.Errorf("%s: %+v", run.Case, *tally)
	}
}
