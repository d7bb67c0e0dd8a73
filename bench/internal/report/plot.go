package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/bench/internal/measure"
)

// Measures of the plots, in the units of their view boxes.
const (
	plotWidth  = 960
	labelWidth = 110
	valueWidth = 150
	rowHeight  = 30
	barHeight  = 18
	footHeight = 26
)

// frame is what plots with a row for each case share.
type frame struct {
	Width, Height, Left, Label, Floor, Foot, Thick int
	Ticks                                          []tick
}

type tick struct {
	X, Y, TextY float64
	Text        string
}

type bars struct {
	frame
	Rows []bar
}

type bar struct {
	Name, Class, Text     string
	Y, TextY, Length, End float64
}

type stack struct {
	frame
	About  string
	Legend []legend
	Rows   []stackRow
}

type legend struct{ Name, Class string }

type stackRow struct {
	Name, Text    string
	Y, TextY, End float64
	Parts         []part
}

type part struct {
	Class, Text string
	X, Length   float64
}

// newFrame has room for rows, up to a highest value; scale gives a value's length.
func newFrame(rows int, highest float64) (f frame, scale func(float64) float64) {
	f = frame{
		Width: plotWidth, Height: rows*rowHeight + footHeight, Left: labelWidth, Label: labelWidth - 10,
		Floor: rows * rowHeight, Foot: rows*rowHeight + 18, Thick: barHeight,
	}
	step := niceStep(highest / 4)
	room := float64(plotWidth - labelWidth - valueWidth)
	scale = func(v float64) float64 { return round(v / max(highest, step) * room) }
	for n := 0; float64(n)*step <= highest; n++ {
		f.Ticks = append(f.Ticks, tick{X: labelWidth + scale(float64(n)*step), Text: Number(float64(n) * step)})
	}
	return f, scale
}

// niceStep is 1, 2 or 5 times a power of ten, and not below n.
func niceStep(n float64) float64 {
	if n <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(n)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= n {
			return m * power
		}
	}
	return 10 * power
}

func round(n float64) float64 { return math.Round(n*10) / 10 }

func rowPlace(i int) (y, text float64) {
	top := float64(i*rowHeight) + float64(rowHeight-barHeight)/2
	return top, top + barHeight - 4
}

// bars shows the rates of all cases at their ceiling.
func (r Report) bars() bars {
	groups := r.groups(Ceiling)
	highest := 0.0
	for _, g := range groups {
		highest = max(highest, g.median(rate))
	}
	f, scale := newFrame(len(groups), highest)
	b := bars{frame: f}
	for i, g := range groups {
		value, one := g.median(rate), bar{Name: g.name, Class: "c1"}
		one.Y, one.TextY = rowPlace(i)
		one.Length, one.Text = scale(value), Whole(value)+" per s"
		one.End = labelWidth + one.Length + 8
		if g.runs[0].Ratio > 0 {
			one.Text += " · " + ratio(g)
		}
		if g.name == Plain || g.name == "tuned" || g.name == "echo" {
			one.Class = "c6"
		}
		b.Rows = append(b.Rows, one)
	}
	return b
}

// costs shows the CPU-seconds per 1,000 by process, memory what each occupies.
func (r Report) costs() stack {
	return r.stack("CPU-seconds per 1,000 commands", func(run Run, payer string) float64 { return run.Reading.PerThousand(measure.Platform, payer) },
		func(v float64) string { return fmt.Sprintf("%.3f", v) })
}

func (r Report) memory() stack {
	return r.stack("memory in MiB", func(run Run, payer string) float64 {
		total := 0.0
		for _, c := range run.Reading.Costs {
			if c.Role == measure.Platform && c.Name == payer {
				total += float64(c.Memory) / (1 << 20)
			}
		}
		return total
	}, func(v float64) string { return Whole(v) + " MiB" })
}

func (r Report) stack(about string, of func(Run, string) float64, text func(float64) string) stack {
	groups, names := r.groups(Ceiling), payers()
	highest := 0.0
	values := make([][]float64, len(groups))
	for i, g := range groups {
		sum := 0.0
		for _, name := range names {
			value := g.median(func(run Run) float64 { return of(run, name) })
			values[i], sum = append(values[i], value), sum+value
		}
		highest = max(highest, sum)
	}
	f, scale := newFrame(len(groups), highest)
	s := stack{frame: f, About: about}
	for i, name := range names {
		s.Legend = append(s.Legend, legend{name, fmt.Sprintf("c%d", i+1)})
	}
	for i, g := range groups {
		row, sum := stackRow{Name: g.name}, 0.0
		row.Y, row.TextY = rowPlace(i)
		for n, value := range values[i] {
			if value > 0 {
				row.Parts = append(row.Parts, part{
					Class: fmt.Sprintf("c%d", n+1), Text: names[n] + ": " + text(value), X: labelWidth + scale(sum), Length: scale(value),
				})
			}
			sum += value
		}
		row.End, row.Text = labelWidth+scale(sum)+8, text(sum)
		s.Rows = append(s.Rows, row)
	}
	return s
}

// curve is the latencies of one case by the rate, on a logarithmic scale.
type curve struct {
	Name                                                string
	Width, Height, Left, Right, Top, Floor, Foot, Label int
	XTicks, YTicks                                      []tick
	Lines                                               []curveLine
}

type curveLine struct {
	Name, Class, Points string
	Dots                []tick
}

const (
	curveHeight, curveTop, curveLeft = 340, 12, 80
	curveFloor                       = curveHeight - 34
	curveRight                       = plotWidth - 20
)

func (r Report) curves() []curve {
	var names []string
	for _, g := range r.groups(Paced) {
		if !slices.Contains(names, g.name) {
			names = append(names, g.name)
		}
	}
	var all []curve
	for _, name := range names {
		var groups []*group
		for _, g := range r.groups(Paced) {
			if g.name == name {
				groups = append(groups, g)
			}
		}
		slices.SortFunc(groups, func(a, b *group) int { return int(a.runs[0].Offered) - int(b.runs[0].Offered) })
		all = append(all, newCurve(name, groups))
	}
	return all
}

func newCurve(name string, groups []*group) curve {
	c := curve{Name: name, Width: plotWidth, Height: curveHeight, Left: curveLeft, Right: curveRight, Top: curveTop,
		Floor: curveFloor, Foot: curveHeight - 12, Label: curveLeft - 10}
	kinds := []struct {
		name string
		of   func(measure.Latency) time.Duration
	}{
		{"p50", func(l measure.Latency) time.Duration { return l.P50 }},
		{"p99", func(l measure.Latency) time.Duration { return l.P99 }},
		{"p99.9", func(l measure.Latency) time.Duration { return l.P999 }},
	}
	low, high := math.Inf(1), 0.0
	values := make([][]float64, len(kinds))
	for k, kind := range kinds {
		for _, g := range groups {
			value := max(g.median(func(run Run) float64 { return float64(kind.of(run.Latency)) / float64(time.Millisecond) }), 0.01)
			values[k], low, high = append(values[k], value), min(low, value), max(high, value)
		}
	}
	bottom, top := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high*1.01))
	y := func(v float64) float64 {
		return round(curveFloor - (math.Log10(v)-bottom)/max(top-bottom, 1)*(curveFloor-curveTop))
	}
	fastest := 0.0
	for _, g := range groups {
		fastest = max(fastest, g.runs[0].Offered)
	}
	x := func(v float64) float64 { return round(curveLeft + v/fastest*(curveRight-curveLeft-30)) }
	for power := bottom; power <= top; power++ {
		at := y(math.Pow(10, power))
		c.YTicks = append(c.YTicks, tick{Y: at, TextY: at + 4, Text: Number(math.Pow(10, power)) + " ms"})
	}
	step := niceStep(fastest / 6)
	for n := 0; float64(n)*step <= fastest; n++ {
		c.XTicks = append(c.XTicks, tick{X: x(float64(n) * step), Text: Number(float64(n)*step) + "/s"})
	}
	for k, kind := range kinds {
		line := curveLine{Name: kind.name, Class: fmt.Sprintf("c%d", []int{3, 2, 1}[k])}
		var points []string
		for i, g := range groups {
			at := tick{X: x(g.runs[0].Offered), Y: y(values[k][i]), Text: fmt.Sprintf("%s/s: %s ms", Whole(g.runs[0].Offered), Number(values[k][i]))}
			line.Dots, points = append(line.Dots, at), append(points, fmt.Sprintf("%g,%g", at.X, at.Y))
		}
		line.Points = strings.Join(points, " ")
		c.Lines = append(c.Lines, line)
	}
	return c
}
