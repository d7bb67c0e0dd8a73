package console

import (
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// width is how many characters a line of Out has; 0 where Out is no terminal, and nothing has to fit.
func (c *Console) width() int {
	file, is := c.Out.(*os.File)
	if !is {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// heading is the first line of a table, as Table writes it.
var heading = regexp.MustCompile(`^[A-Z][A-Z0-9/-]*( {2,}[A-Z][A-Z0-9/-]*)+ *$`)

// fit sets tables that are wider than a line column by column below each other, a block for each row: a terminal would break their lines
// anywhere.
func fit(text string, width int) string {
	lines := strings.Split(text, "\n")
	var b strings.Builder
	for i := 0; i < len(lines); {
		end := i + 1
		if width > 0 && heading.MatchString(lines[i]) {
			for end < len(lines) && lines[end] != "" {
				end++
			}
		}
		if table := lines[i:end]; end > i+1 && widest(table) > width {
			expand(&b, table)
		} else {
			b.WriteString(strings.Join(table, "\n"))
			if end < len(lines) {
				b.WriteByte('\n')
			}
		}
		i = end
	}
	return b.String()
}

func widest(lines []string) (most int) {
	for _, line := range lines {
		most = max(most, len([]rune(strings.TrimRight(line, " "))))
	}
	return most
}

// expand writes rows as blocks of name and value, with an empty line between two.
func expand(b *strings.Builder, table []string) {
	var starts []int
	names := []rune(table[0])
	longest := 0
	for at := range names {
		if names[at] != ' ' && (at == 0 || names[at-1] == ' ') {
			starts = append(starts, at)
			longest = max(longest, len(strings.Fields(string(names[at:]))[0]))
		}
	}
	for n, line := range table[1:] {
		if n > 0 {
			b.WriteByte('\n')
		}
		row := []rune(line)
		for i, start := range starts {
			end := len(row)
			if i+1 < len(starts) {
				end = min(end, starts[i+1])
			}
			name, value := strings.Fields(string(names[start:]))[0], ""
			if start < end {
				value = strings.TrimSpace(string(row[start:end]))
			}
			b.WriteString(name + strings.Repeat(" ", longest-len(name)+2) + value + "\n")
		}
	}
}
