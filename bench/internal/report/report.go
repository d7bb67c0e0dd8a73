// Package report holds what a bench has found, as JSON for comparing and as a table for reading.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cupline/cupline/bench/internal/load"
	"github.com/cupline/cupline/bench/internal/measure"
	"github.com/cupline/cupline/bench/internal/usage"
)

// Format of the JSON; it changes when a field changes its meaning.
const Format = 1

// Report is a whole bench.
type Report struct {
	Format int       `json:"format"`
	At     time.Time `json:"at"`
	// Commit of the checkout; "+" behind it says that files were changed since.
	Commit   string        `json:"commit"`
	Machine  usage.Machine `json:"machine"`
	Versions []Version     `json:"versions"`
	Settings []Setting     `json:"settings"`
	Runs     []Run         `json:"runs"`
}

// Version of a program that takes part.
type Version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Setting of the bench, or of a service.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Kind of a run.
type Kind string

// Ceiling runs offer as much as is taken, Paced ones a given rate.
const (
	Ceiling Kind = "ceiling"
	Paced   Kind = "latency"
	// Trial runs are no commands in a loop; they have figures of their own.
	Trial Kind = "trial"
)

// Figure is one thing that a trial found.
type Figure struct {
	// What was measured, At which size or setting, and in which Unit.
	What  string  `json:"what"`
	At    string  `json:"at,omitempty"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// Run is one run of a case.
type Run struct {
	Case  string `json:"case"`
	Kind  Kind   `json:"kind"`
	Round int    `json:"round"`
	// Offered is the rate of a paced run, commands per second; Share its part of the case's ceiling in this bench, 0
	// when the rate was given as such.
	Offered float64 `json:"offered,omitempty"`
	Share   float64 `json:"share,omitempty"`
	// Ratio is the rate as a part of the plain bare pipeline's, the mean of the runs just before and after; 0 for none.
	Ratio   float64         `json:"ratio,omitempty"`
	Reading measure.Reading `json:"reading"`
	// Latency is from a command being due to its outcome's frame, Answer to the POST's answer; for the bare pipeline,
	// Latency is from publish to arrival.
	Latency measure.Latency `json:"latency"`
	Answer  measure.Latency `json:"answer,omitzero"`
	Tally   *load.Tally     `json:"tally,omitempty"`
	// Hops say where the time of a paced run went.
	Hops []Hop `json:"hops,omitempty"`
	// Figures are a trial's.
	Figures []Figure `json:"figures,omitempty"`
	// Problem says why this run gives no figure.
	Problem string `json:"problem,omitempty"`
}

// Hop is a part of a command's way.
type Hop struct {
	Name string        `json:"name"`
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
}

// Failed are the runs that give no figure.
func (r Report) Failed() []Run {
	var failed []Run
	for _, run := range r.Runs {
		if run.Problem != "" {
			failed = append(failed, run)
		}
	}
	return failed
}

// Write puts the report into a file as JSON.
func (r Report) Write(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// group is the runs of one case, at one rate if it has one, that gave figures.
type group struct {
	name    string
	offered float64
	share   float64
	runs    []Run
}

// groups are in the order in which their first runs came; shares are equal across rounds where rates may differ.
func (r Report) groups(kind Kind) []*group {
	var all []*group
	for _, run := range r.Runs {
		if run.Kind != kind || run.Problem != "" {
			continue
		}
		i := slices.IndexFunc(all, func(g *group) bool {
			return g.name == run.Case && g.share == run.Share && (g.share != 0 || g.offered == run.Offered)
		})
		if i < 0 {
			all = append(all, &group{name: run.Case, offered: run.Offered, share: run.Share})
			i = len(all) - 1
		}
		all[i].runs = append(all[i].runs, run)
	}
	return all
}

// median of what f tells of the group's runs; the mean of the two in the middle when they are even in number.
func (g *group) median(f func(Run) float64) float64 {
	values := make([]float64, len(g.runs))
	for i, run := range g.runs {
		values[i] = f(run)
	}
	return Median(values)
}

// Median of values, which it sorts; 0 for none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// Rate of a case: the median of its runs at the ceiling, 0 when none gave a figure.
func (r Report) Rate(name string) float64 {
	for _, g := range r.groups(Ceiling) {
		if g.name == name {
			return g.median(func(run Run) float64 { return run.Reading.Rate() })
		}
	}
	return 0
}

// MedianRun is the run whose cost lies in the middle; the zero value of none.
func MedianRun(runs []Run) Run {
	if len(runs) == 0 {
		return Run{}
	}
	cost := func(run Run) float64 { return run.Reading.PerThousand(measure.Platform, "") }
	ordered := slices.SortedFunc(slices.Values(runs), func(a, b Run) int { return cmp.Compare(cost(a), cost(b)) })
	return ordered[(len(ordered)-1)/2]
}
