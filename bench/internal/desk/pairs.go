package desk

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// pair is two rounds, one after the other: letters settled a second with and without what is judged.
type pair struct {
	with, without float64
	// removed is how many rows the janitor deleted meanwhile.
	removed int64
}

// table writes pairs, a line each, and the median of their ratios with its spread.
func table(out io.Writer, title string, pairs []pair) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	cleaned := slices.ContainsFunc(pairs, func(p pair) bool { return p.removed > 0 })
	removed := func(text string) string {
		if !cleaned {
			return "" // there was no janitor
		}
		return text + "\t"
	}
	fmt.Fprintf(t, "%s, letters settled a second\npair\twith\twithout\tratio\t%s\n", title, removed("removed"))
	ratios := make([]float64, 0, len(pairs))
	for i, p := range pairs {
		ratio := p.with / p.without
		ratios = append(ratios, ratio)
		fmt.Fprintf(t, "%d\t%.0f\t%.0f\t%.2f\t%s\n", i+1, p.with, p.without, ratio, removed(fmt.Sprint(p.removed)))
	}
	slices.Sort(ratios)
	n := len(ratios)
	fmt.Fprintf(t, "\nratio: median %.2f, the middle half %.2f to %.2f, all %.2f to %.2f\n\n", ratios[n/2], ratios[n/4], ratios[n-1-n/4], ratios[0], ratios[n-1])
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}
