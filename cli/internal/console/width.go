package console

import (
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// width is how many characters a line of a terminal has; 0 where the stream is none, and nothing has to fit.
func width(stream any) int {
	file, is := stream.(*os.File)
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

// fit sets tables that are wider than a line so that they fit: a terminal would break their lines anywhere.
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
			read(table).write(&b, width)
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

// wrap breaks a line between words; a word that is longer than a line is broken where the line ends.
func wrap(text string, width int) (lines []string) {
	width = max(width, 1)
	var line []rune
	for word := range strings.FieldsSeq(text) {
		rest := []rune(word)
		if len(line) > 0 && len(line)+1+len(rest) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		for len(rest) > width {
			lines, rest = append(lines, string(rest[:width])), rest[width:]
		}
		line = append(line, rest...)
	}
	return append(lines, string(line))
}
