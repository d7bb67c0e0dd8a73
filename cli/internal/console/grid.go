package console

import "strings"

const (
	// gap is between two columns, and indent before the further lines of a row.
	gap, indent = 2, 2
	// roomy is how many characters the last column needs at least, to be wrapped beside the others. Ids are never broken there.
	roomy = 24
)

// grid is a table in its parts.
type grid struct {
	names  []string
	rows   [][]string
	widths []int
	// word is the longest one of the last column.
	word int
}

// read takes a table apart that Table has written.
func read(table []string) *grid {
	var starts []int
	names := []rune(table[0])
	g := &grid{}
	for at := range names {
		if names[at] != ' ' && (at == 0 || names[at-1] == ' ') {
			starts = append(starts, at)
		}
	}
	cells := func(line string) (row []string) {
		content := []rune(line)
		for i, start := range starts {
			end := len(content)
			if i+1 < len(starts) {
				end = min(end, starts[i+1])
			}
			cell := ""
			if start < end {
				cell = strings.TrimSpace(string(content[start:end]))
			}
			row = append(row, cell)
		}
		return row
	}
	g.names = cells(table[0])
	for _, line := range table[1:] {
		g.rows = append(g.rows, cells(line))
	}
	g.measure()
	return g
}

func (g *grid) measure() {
	g.widths, g.word = make([]int, len(g.names)), 0
	for _, row := range append([][]string{g.names}, g.rows...) {
		for i, cell := range row {
			g.widths[i] = max(g.widths[i], len([]rune(cell)))
		}
		for word := range strings.FieldsSeq(row[len(row)-1]) {
			g.word = max(g.word, len([]rune(word)))
		}
	}
}

// write sets the table in lines of that width. A row alone becomes a block of names and values. Of several rows, columns that say
// nothing are left out, and what does not fit beside the others goes into further lines of its row.
func (g *grid) write(b *strings.Builder, width int) {
	if len(g.rows) == 1 {
		g.block(b, width)
		return
	}
	g.thin()
	lines := g.assign(width)
	for _, row := range append([][]string{g.names}, g.rows...) {
		g.fold(b, row, lines, width)
	}
}

// thin leaves out the columns in which no row has anything.
func (g *grid) thin() {
	var slim grid
	slim.rows = make([][]string, len(g.rows))
	for i, name := range g.names {
		told := false
		for _, row := range g.rows {
			told = told || row[i] != "-"
		}
		if !told {
			continue
		}
		slim.names = append(slim.names, name)
		for n, row := range g.rows {
			slim.rows[n] = append(slim.rows[n], row[i])
		}
	}
	slim.measure()
	*g = slim
}

// block writes the only row, a line for each of its cells.
func (g *grid) block(b *strings.Builder, width int) {
	longest := 0
	for _, name := range g.names {
		longest = max(longest, len(name))
	}
	for i, name := range g.names {
		b.WriteString(name + strings.Repeat(" ", longest-len(name)+gap))
		hang(b, g.rows[0][i], longest+gap, width)
	}
}

// assign puts the columns on lines, in their order. Only the last one on a line may be wider than what is left of it.
func (g *grid) assign(width int) (lines [][]int) {
	used := 0
	for i, w := range g.widths {
		last := i == len(g.widths)-1 && width-used >= max(roomy, g.word)
		if i == 0 || used+w > width && !last {
			lines, used = append(lines, nil), 0
			if i > 0 {
				used = indent
			}
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], i)
		used += w + gap
	}
	return lines
}

// fold writes one row on its lines.
func (g *grid) fold(b *strings.Builder, row []string, lines [][]int, width int) {
	for n, line := range lines {
		at := 0
		if n > 0 {
			at = indent
			if len(line) == 1 && row[line[0]] == "-" {
				continue // nothing to tell
			}
		}
		b.WriteString(strings.Repeat(" ", at))
		for k, i := range line {
			if k == len(line)-1 {
				hang(b, row[i], at, width)
				break
			}
			b.WriteString(row[i] + strings.Repeat(" ", g.widths[i]-len([]rune(row[i]))+gap))
			at += g.widths[i] + gap
		}
	}
}

// hang writes a text from a column on, in as many lines as it takes, and ends the last one.
func hang(b *strings.Builder, text string, at, width int) {
	if len([]rune(text)) <= width-at {
		b.WriteString(text + "\n")
		return
	}
	b.WriteString(strings.Join(wrap(text, width-at), "\n"+strings.Repeat(" ", at)) + "\n")
}
