// Command faults runs the fault suite: Cupline as real processes under load, with faults
// injected from a seed, and the check that every accepted command ended in one outcome.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cupline/cupline/e2e/faults/schedule"
	"github.com/cupline/cupline/e2e/faults/suite"
	"github.com/cupline/cupline/verify/history"
	"github.com/cupline/cupline/verify/summary"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run() error {
	seed := flag.Uint64("seed", rand.Uint64N(1_000_000), "the `seed` of faults and load; the same one breaks the same things")
	duration := flag.Duration("duration", 5*time.Minute, "how long faults are injected; 0 for the load alone")
	fault := flag.String("fault", "", "inject these `faults` and no others, say kill,cut@database; an unknown one lists all")
	each := flag.Int("each", 0, "every kind of fault so many `times`, one after the other, instead of a mixture for the duration")
	every := flag.Bool("every", false, "every kind of fault on every kind of target once, mixed, instead of a mixture for the duration")
	quiet := flag.Duration("load", 0, "how long the load goes on after the last fault")
	rate := flag.Float64("rate", 4, "posts a second of each of the ten clients")
	nodes := flag.Int("nodes", 3, "nodes of the broker: 3 for a cluster, or 1")
	folder := flag.String("folder", "", "where history.jsonl is left; a new temporary `folder` when empty")
	page := flag.String("page", "", "instead of a run: write this `file` about the runs whose report.json or history.jsonl follow")
	flag.Parse()
	only, err := schedule.ParseChoices(*fault)
	if err != nil {
		return err
	}
	if *page != "" {
		return write(*page, flag.Args())
	}
	if *folder == "" {
		made, err := os.MkdirTemp("", "cupline-faults-")
		if err != nil {
			return err
		}
		*folder = made
	}
	if err := os.MkdirAll(*folder, 0o755); err != nil {
		return err
	}
	absolute, err := filepath.Abs(*folder)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := suite.Run(ctx, suite.Config{
		Seed: *seed, Faults: *duration, Only: only, Each: *each, Every: *every, Load: *quiet, Rate: *rate, Nodes: *nodes, Folder: absolute, Progress: os.Stderr,
	})
	fmt.Print(report)
	fmt.Println("  history:", filepath.Join(absolute, "history.jsonl"))
	if err != nil {
		return err
	}
	told, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(absolute, "report.json")
	if err := os.WriteFile(path, append(told, '\n'), 0o644); err != nil { //nolint:gosec // it is for the page of the docs
		return err
	}
	fmt.Println("  report: ", path)
	if n := len(report.Violations); n > 0 {
		return fmt.Errorf("%d violations; replay with SEED=%d", n, *seed)
	}
	return nil
}

// write makes the page about runs that were, each by its report.json or its history.jsonl.
func write(page string, runs []string) error {
	var reports []summary.Report
	for _, path := range runs {
		report, err := read(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		reports = append(reports, report)
	}
	return os.WriteFile(page, []byte(suite.Page(reports)), 0o644) //nolint:gosec // a page of the docs is for all to read
}

func read(path string) (report summary.Report, err error) {
	file, err := os.Open(path)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if strings.HasSuffix(path, ".json") {
		return report, json.NewDecoder(file).Decode(&report)
	}
	events, err := history.Read(file)
	return summary.Of(events), err
}
