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
	cfg := suite.Smoke()
	cfg.Cases = nil
	for _, one := range suite.Cases() {
		// What starts is tried by the tests of `cupline up`.
		if !one.Apart() && one.Name != "start" {
			cfg.Cases = append(cfg.Cases, one.Name)
		}
	}
	found := run(t, cfg)
	var table strings.Builder
	if err := found.Table(&table); err != nil {
		t.Error(err)
	}
	t.Log(table.String())
	for _, name := range cfg.Cases {
		if !strings.Contains(table.String(), " "+name+" ") {
			t.Errorf("the table has no row for %s", name)
		}
	}
	for _, one := range found.Runs {
		check(t, one)
	}
}

// The bare pipeline at a rate has its figures without any service beside it, too.
func TestTheBrokerAlone(t *testing.T) {
	cfg := suite.Smoke()
	cfg.Cases = []string{"latency-plain"}
	cfg.Rates = []suite.Rate{{PerSecond: 20}}
	found := run(t, cfg)
	if len(found.Runs) != 1 || found.Runs[0].Kind != report.Paced {
		t.Fatalf("these runs instead of one at a rate: %+v", found.Runs)
	}
	check(t, found.Runs[0])
}

// run measures, with everything kept below .run meanwhile.
func run(t *testing.T, cfg suite.Config) report.Report {
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	root, err := services.Root()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Root, cfg.Folder, cfg.Progress = root, filepath.Join(root, ".run", "bench-smoke"), t.Output()
	found, err := suite.Run(ctx, cfg)
	if err != nil {
		t.Error(err)
	}
	return found
}

// check holds that a run has all of its figures.
func check(t *testing.T, run report.Run) {
	if run.Problem != "" {
		return // told already
	}
	if run.Kind == report.Trial {
		if len(run.Figures) == 0 {
			t.Errorf("%s has no figures", run.Case)
		}
		return
	}
	if run.Kind == report.Paced && run.Case != "latency-plain" && len(run.Hops) < 6 {
		t.Errorf("%s has only these hops: %+v", run.Case, run.Hops)
	}
	if run.Reading.Rate() <= 0 || run.Latency.P50 <= 0 || len(run.Reading.Costs) < 2 {
		t.Errorf("%s has no figures: %+v", run.Case, run)
	}
	if tally := run.Tally; tally != nil && (tally.Accepted == 0 || tally.Accepted != tally.Outcomes) {
		t.Errorf("%s: %+v", run.Case, *tally)
	}
}
