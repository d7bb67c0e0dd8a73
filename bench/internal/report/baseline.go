package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/cupline/cupline/bench/internal/measure"
)

// Read is a report as Write left it. The error says when the file is of another format: its fields mean something else.
func Read(path string) (Report, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Report{}, fmt.Errorf("read a report: %w", err)
	}
	var r Report
	if err := json.Unmarshal(content, &r); err != nil {
		return Report{}, fmt.Errorf("read the report %s: %w", path, err)
	}
	if r.Format != Format {
		return Report{}, fmt.Errorf("the report %s has format %d, this bench compares format %d", path, r.Format, Format)
	}
	return r, nil
}

// Verdict on a change.
type Verdict string

// What lies within the spread of the runs is no change. A figure of single runs has no spread, and no verdict.
const (
	Better      Verdict = "better"
	Worse       Verdict = "worse"
	WithinNoise Verdict = "within noise"
	SingleRuns  Verdict = "single runs"
	FewPairs    Verdict = "too few pairs"
)

// Change is one figure beside the baseline's.
type Change struct {
	Case, What    string
	Before, After float64
	Verdict       Verdict
}

// Ratio of after to before; 0 when there was nothing before.
func (c Change) Ratio() float64 {
	if c.Before == 0 {
		return 0
	}
	return c.After / c.Before
}

// series is the values of one figure over the runs.
type series struct {
	name, what string
	more       bool // is better
	values     []float64
}

// alike tells whether it is the same figure, of whatever runs.
func (s series) alike(other series) bool { return s.name == other.name && s.what == other.what }

// samples are all figures of a report that can be compared; by process, too, for who asks.
func (r Report) samples(byProcess bool) []series {
	var all []series
	collect := func(g *group, name, what string, more bool, of func(Run) float64) {
		s := series{name: name, what: what, more: more}
		for _, run := range g.runs {
			s.values = append(s.values, of(run))
		}
		all = append(all, s)
	}
	for _, g := range r.groups(Ceiling) {
		collect(g, g.name, "per s", true, rate)
		if g.runs[0].Ratio > 0 {
			collect(g, g.name, "of plain", true, func(run Run) float64 { return run.Ratio })
		}
		collect(g, g.name, "CPU-s per 1,000", false, func(run Run) float64 { return run.Reading.PerThousand(measure.Platform, "") })
		if byProcess {
			for _, process := range g.processes() {
				collect(g, g.name, "of that "+process, false, func(run Run) float64 { return run.Reading.PerThousand(measure.Platform, process) })
			}
		}
	}
	for _, g := range r.groups(Paced) {
		name := fmt.Sprintf("%s at %s/s", g.name, Whole(g.offered))
		if g.share > 0 {
			name = fmt.Sprintf("%s at %.0f %%", g.name, 100*g.share)
		}
		collect(g, name, "p50 ms", false, func(run Run) float64 { return run.Latency.P50.Seconds() * 1000 })
		collect(g, name, "p99 ms", false, func(run Run) float64 { return run.Latency.P99.Seconds() * 1000 })
		if byProcess {
			collect(g, name, "CPU-s per 1,000", false, func(run Run) float64 { return run.Reading.PerThousand(measure.Platform, "") })
		}
	}
	for _, run := range r.Runs {
		for _, f := range run.Figures {
			all = append(all, series{name: run.Case, what: f.What + " " + f.At + ", " + f.Unit, more: f.Unit == "per s", values: []float64{f.Value}})
		}
	}
	return all
}

// processes of the platform, each once, in their order.
func (g *group) processes() []string {
	var names []string
	for _, c := range g.runs[0].Reading.Costs {
		if c.Role == measure.Platform && !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// Compare holds a report against a baseline: every figure that both have.
func Compare(before, after Report) []Change {
	var changes []Change
	old := before.samples(false)
	for _, now := range after.samples(false) {
		i := slices.IndexFunc(old, now.alike)
		if i < 0 {
			continue
		}
		changes = append(changes, Change{
			Case: now.name, What: now.what, Before: Median(slices.Clone(old[i].values)), After: Median(slices.Clone(now.values)),
			Verdict: judge(old[i].values, now.values, now.more),
		})
	}
	return changes
}

// judge says that a figure moved only when its lowest run lies above the other's highest.
func judge(before, after []float64, more bool) Verdict {
	if len(before) < 2 || len(after) < 2 {
		return SingleRuns
	}
	up, down := slices.Min(after) > slices.Max(before), slices.Max(after) < slices.Min(before)
	switch {
	case !up && !down:
		return WithinNoise
	case up == more:
		return Better
	}
	return Worse
}

// Changes writes a comparison for a reader.
func Changes(out io.Writer, before Report, changes []Change) error {
	w := &quietWriter{out: out}
	fmt.Fprintf(w, "\nBeside the baseline of %s, commit %s. within noise: the runs' ranges overlap.\n\n", before.At.Format("2006-01-02 15:04"), before.Commit)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	columns(t, "case", "figure", "before", "now", "ratio", "")
	for _, c := range changes {
		columns(t, c.Case, c.What, Number(c.Before), Number(c.After), fmt.Sprintf("%.2f", c.Ratio()), c.Verdict)
	}
	flush(t)
	return w.err
}
