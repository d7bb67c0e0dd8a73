package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"time"
)

//go:embed page
var page embed.FS

// view is the report as the page shows it.
type view struct {
	Style               template.CSS
	At, Commit, Machine string
	Failures            []Run
	Targets             []targetView
	Reached, Unmeasured int
	Bars                bars
	Costs, Memory       stack
	Curves              []curve
	Paced               []pacedView
	Trials              []trialView
	Baseline            string
	Changes             []changeView
	Versions            []Version
	Settings            []Setting
}

type targetView struct {
	Target
	Class string
}

type pacedView struct {
	Case, Rate string
	Hops       []hopView
}

type hopView struct{ Name, P50, P99 string }

type trialView struct {
	Case    string
	Figures []figureView
}

type figureView struct{ What, At, Value, Unit string }

type changeView struct {
	Case, What, Before, After, Ratio, Class string
	Verdict                                 Verdict
}

// HTML writes the report as one page that needs nothing else, beside a baseline when there is one.
func (r Report) HTML(out io.Writer, baseline *Report) error {
	style, err := page.ReadFile("page/report.css")
	if err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	made, err := template.ParseFS(page, "page/report.html")
	if err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	v := r.view(baseline)
	v.Style = template.CSS(style) //nolint:gosec // it is a file of this program
	if err := made.Execute(out, v); err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	return nil
}

// WriteHTML puts the page into a file.
func (r Report) WriteHTML(path string, baseline *Report) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	defer func() {
		if closing := file.Close(); err == nil && closing != nil {
			err = fmt.Errorf("write the report's page: %w", closing)
		}
	}()
	return r.HTML(file, baseline)
}

func (r Report) view(baseline *Report) view {
	v := view{
		At: r.At.Format(time.DateTime), Commit: r.Commit, Failures: r.Failed(), Versions: r.Versions, Settings: r.Settings,
		Machine: fmt.Sprintf("%d cores of %s, %.1f GiB, Linux %s", r.Machine.Cores, r.Machine.CPU, float64(r.Machine.Memory)/(1<<30), r.Machine.Kernel),
		Bars:    r.bars(), Costs: r.costs(), Memory: r.memory(), Curves: r.curves(),
	}
	for _, t := range r.Targets() {
		one := targetView{Target: t}
		switch t.State {
		case Reached:
			one.Class, v.Reached = "good", v.Reached+1
		case NotReached:
			one.Class = "bad"
		case NotMeasured:
			v.Unmeasured++
		}
		v.Targets = append(v.Targets, one)
	}
	for _, run := range r.Runs {
		v.addRun(run)
	}
	if baseline != nil {
		v.Baseline = fmt.Sprintf("%s, commit %s", baseline.At.Format(time.DateTime), baseline.Commit)
		for _, c := range Compare(*baseline, r) {
			class := map[Verdict]string{Better: "good", Worse: "bad"}[c.Verdict]
			v.Changes = append(v.Changes, changeView{
				Case: c.Case, What: c.What, Before: Number(c.Before), After: Number(c.After), Ratio: fmt.Sprintf("%.2f", c.Ratio()),
				Class: class, Verdict: c.Verdict,
			})
		}
	}
	return v
}

func (v *view) addRun(run Run) {
	if run.Problem != "" {
		return
	}
	if len(run.Hops) > 0 {
		paced := pacedView{Case: run.Case, Rate: Whole(run.Offered) + " per s"}
		for _, hop := range run.Hops {
			paced.Hops = append(paced.Hops, hopView{hop.Name, millis(hop.P50) + " ms", millis(hop.P99) + " ms"})
		}
		v.Paced = append(v.Paced, paced)
	}
	if len(run.Figures) > 0 {
		trial := trialView{Case: run.Case}
		for _, f := range run.Figures {
			trial.Figures = append(trial.Figures, figureView{f.What, f.At, Number(f.Value), f.Unit})
		}
		v.Trials = append(v.Trials, trial)
	}
}
