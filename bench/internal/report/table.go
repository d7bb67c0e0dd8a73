package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cupline/cupline/bench/internal/measure"
)

// Plain is the case that ratios are told of.
const Plain = "plain"

// payers are the columns of cost: of the platform, and at the ceiling of the bare pipeline, too.
func payers() []string {
	return []string{"broker", "database", "api", "dispatcher", "pusher", "pipeline"}
}

// Table writes the report for a reader.
func (r Report) Table(out io.Writer) error {
	w := &quietWriter{out: out}
	r.head(w)
	r.ceiling(w)
	r.paced(w)
	r.hops(w)
	r.trials(w)
	r.targets(w)
	r.problems(w)
	return w.err
}

func (r Report) head(w io.Writer) {
	fmt.Fprintf(w, "Cupline bench, %s, commit %s\n", r.At.Format(time.DateTime), r.Commit)
	fmt.Fprintf(w, "machine:  %d cores of %s, %.1f GiB, Linux %s\n",
		r.Machine.Cores, r.Machine.CPU, float64(r.Machine.Memory)/(1<<30), r.Machine.Kernel)
	var versions, settings []string
	for _, v := range r.Versions {
		versions = append(versions, v.Name+" "+v.Version)
	}
	for _, s := range r.Settings {
		settings = append(settings, s.Name+" "+s.Value)
	}
	fmt.Fprintf(w, "versions: %s\n", strings.Join(versions, ", "))
	fmt.Fprintf(w, "settings: %s\n", strings.Join(settings, ", "))
}

func (r Report) ceiling(w io.Writer) {
	groups := r.groups(Ceiling)
	if len(groups) == 0 {
		return
	}
	fmt.Fprint(w, "\nCeiling: as many commands as are taken, medians of the rounds. of plain: of the plain bare pipeline's rate just before and after.\n")
	fmt.Fprint(w, "CPU-seconds per 1,000 commands, by process (all: without the load's); others: cores that foreign processes kept busy.\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns(t, "case", "per s", "of plain", "p50 ms", "p99 ms", "p99.9 ms", payers(), "all", "load", "others")
	for _, g := range groups {
		cells := []any{g.name, Whole(g.median(rate)), ratio(g)}
		cells = append(cells, latencies(g, func(run Run) measure.Latency { return run.Latency })...)
		columns(t, append(cells, costs(g)...)...)
	}
	flush(t)
}

func (r Report) paced(w io.Writer) {
	groups := r.groups(Paced)
	if len(groups) == 0 {
		return
	}
	fmt.Fprint(w, "\nLatency at a given rate, from the moment a command was due to its outcome's frame; answer: to the POST's answer.\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns(t, "case", "offered per s", "of ceiling", "done per s", "p50 ms", "p99 ms", "p99.9 ms", "p99/p50", "answer p50", "p99", "p99.9",
		payers(), "all", "load", "others")
	for _, g := range groups {
		share := "-"
		if g.share > 0 {
			share = fmt.Sprintf("%.0f %%", 100*g.share)
		}
		cells := []any{g.name, Whole(g.median(func(run Run) float64 { return run.Offered })), share, Whole(g.median(rate))}
		cells = append(cells, latencies(g, func(run Run) measure.Latency { return run.Latency })...)
		cells = append(cells, fmt.Sprintf("%.1f", g.median(func(run Run) float64 { return float64(run.Latency.P99) / float64(max(run.Latency.P50, 1)) })))
		cells = append(cells, latencies(g, func(run Run) measure.Latency { return run.Answer })...)
		columns(t, append(cells, costs(g)...)...)
	}
	flush(t)
}

func (r Report) hops(w io.Writer) {
	first := true
	for _, run := range r.Runs {
		if run.Problem != "" || len(run.Hops) == 0 {
			continue
		}
		if first {
			fmt.Fprint(w, "\nWhere the time goes, ms, as the services' histograms tell it to within a tenth; times since the acceptance are to the millisecond.\n")
			first = false
		}
		fmt.Fprintf(w, "\n%s at %s per s\n", run.Case, Whole(run.Offered))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		columns(t, "  hop", "p50", "p99")
		for _, hop := range run.Hops {
			columns(t, "  "+hop.Name, millis(hop.P50), millis(hop.P99))
		}
		flush(t)
	}
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }

func (r Report) trials(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	first := true
	for _, run := range r.Runs {
		for _, f := range run.Figures {
			if first {
				fmt.Fprint(w, "\nFurther figures:\n\n")
				columns(t, " case", "what", "at", "value", "unit")
				first = false
			}
			columns(t, " "+run.Case, f.What, f.At, Number(f.Value), f.Unit)
		}
	}
	flush(t)
}

func (r Report) targets(w io.Writer) {
	fmt.Fprint(w, "\nTargets:\n\n")
	for _, target := range r.Targets() {
		found := ""
		if target.Found != "" {
			found = ": " + target.Found
		}
		fmt.Fprintf(w, "  %-12s  %s%s\n", target.State, target.Text, found)
	}
}

// Number writes a figure with as many digits as it has a meaning: whole ones above a hundred, three digits below.
func Number(n float64) string {
	if n >= 100 || n <= -100 || n == 0 {
		return Whole(n)
	}
	return fmt.Sprintf("%.3g", n)
}

func (r Report) problems(w io.Writer) {
	for _, run := range r.Failed() {
		fmt.Fprintf(w, "\nNO FIGURE for %s in round %d: %s\n", run.Case, run.Round, run.Problem)
	}
}

func rate(run Run) float64 { return run.Reading.Rate() }

func ratio(g *group) string {
	if g.runs[0].Ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", g.median(func(run Run) float64 { return run.Ratio }))
}

func latencies(g *group, of func(Run) measure.Latency) []any {
	cell := func(pick func(measure.Latency) time.Duration) any {
		return fmt.Sprintf("%.1f", g.median(func(run Run) float64 { return float64(pick(of(run))) / float64(time.Millisecond) }))
	}
	return []any{
		cell(func(l measure.Latency) time.Duration { return l.P50 }),
		cell(func(l measure.Latency) time.Duration { return l.P99 }),
		cell(func(l measure.Latency) time.Duration { return l.P999 }),
	}
}

func costs(g *group) []any {
	var cells []any
	cell := func(role measure.Role, name string) {
		cost := g.median(func(run Run) float64 { return run.Reading.PerThousand(role, name) })
		if cost == 0 {
			cells = append(cells, "-")
			return
		}
		cells = append(cells, fmt.Sprintf("%.3f", cost))
	}
	for _, payer := range payers() {
		cell(measure.Platform, payer)
	}
	cell(measure.Platform, "")
	cell(measure.Driving, "")
	others := g.median(func(run Run) float64 {
		return (run.Reading.Others + run.Reading.Stolen).Seconds() / run.Reading.To.Sub(run.Reading.From).Seconds()
	})
	return append(cells, fmt.Sprintf("%.2f", others))
}

// Whole writes a number with commas between thousands.
func Whole(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// columns writes one row; a list among the cells is so many cells.
func columns(t *tabwriter.Writer, cells ...any) {
	for _, cell := range cells {
		if several, ok := cell.([]string); ok {
			fmt.Fprint(t, strings.Join(several, "\t"), "\t")
			continue
		}
		fmt.Fprint(t, cell, "\t")
	}
	fmt.Fprintln(t)
}

func flush(t *tabwriter.Writer) { _ = t.Flush() } // the writer below keeps the error

// quietWriter keeps the first error for the end.
type quietWriter struct {
	out io.Writer
	err error
}

func (w *quietWriter) Write(b []byte) (int, error) {
	if w.err != nil {
		return len(b), nil
	}
	_, w.err = w.out.Write(b)
	return len(b), nil
}
