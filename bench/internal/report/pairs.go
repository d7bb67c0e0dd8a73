package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// Pair is what two variants found one right after the other.
type Pair struct{ A, B Report }

// Paired is one figure over all pairs: the medians of both sides, the median of the pairs' ratios, and between which ratios
// the true median lies with 95 % confidence.
type Paired struct {
	Case, What string
	A, B       float64
	Ratio      float64
	Low, High  float64
	Verdict    Verdict
}

// leastPairs is how many it takes for 95 %: with five, all of one sign come by chance once in sixteen times.
const leastPairs = 6

// InPairs holds B against A, pair by pair: what drifts on the machine drifts for both. A figure has moved when
// the interval of its ratios leaves 1 out; fewer than six pairs have none.
func InPairs(pairs []Pair) []Paired {
	sides := make([][2][]series, len(pairs))
	for i, pair := range pairs {
		sides[i] = [2][]series{pair.A.samples(true), pair.B.samples(true)}
	}
	var all []Paired
	for _, first := range sides[0][0] {
		p := Paired{Case: first.name, What: first.what}
		var a, b, ratios []float64
		for _, side := range sides {
			before, after := median(side[0], first), median(side[1], first)
			if before == 0 || after == 0 {
				continue // a run without a figure
			}
			a, b, ratios = append(a, before), append(b, after), append(ratios, after/before)
		}
		if len(ratios) == 0 {
			continue
		}
		p.A, p.B, p.Ratio = Median(a), Median(b), Median(ratios)
		p.Low, p.High = interval(ratios)
		p.Verdict = p.judge(len(ratios), first.more)
		all = append(all, p)
	}
	return all
}

// median of a figure's runs, among a report's; 0 when there is none.
func median(all []series, of series) float64 {
	i := slices.IndexFunc(all, of.alike)
	if i < 0 {
		return 0
	}
	return Median(slices.Clone(all[i].values))
}

func (p Paired) judge(pairs int, more bool) Verdict {
	switch {
	case pairs < leastPairs:
		return FewPairs
	case p.Low <= 1 && p.High >= 1:
		return WithinNoise
	case (p.Low > 1) == more:
		return Better
	}
	return Worse
}

// interval of the median at 95 %, by the sign test: it assumes nothing of how the values are spread. It sorts them.
func interval(values []float64) (low, high float64) {
	slices.Sort(values)
	n := len(values)
	outside, chance := 0, math.Pow(0.5, float64(n)) // of as few as this below the median
	for sum := chance; sum <= 0.025; sum += chance {
		outside++
		chance *= float64(n-outside+1) / float64(outside)
	}
	outside = max(outside-1, 0)
	return values[outside], values[n-1-outside]
}

// WritePairs is a table for the reader.
func WritePairs(out io.Writer, pairs int, found []Paired) error {
	w := &quietWriter{out: out}
	fmt.Fprintf(w, "\n%d pairs: the medians of A and B, the median of the pairs' ratios, and where that lies with 95 %% confidence.\n\n", pairs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	columns(t, "case", "figure", "A", "B", "B/A", "from", "to", "")
	for _, p := range found {
		columns(t, p.Case, p.What, Number(p.A), Number(p.B), fmt.Sprintf("%.3f", p.Ratio), fmt.Sprintf("%.3f", p.Low), fmt.Sprintf("%.3f", p.High), p.Verdict)
	}
	flush(t)
	return w.err
}
