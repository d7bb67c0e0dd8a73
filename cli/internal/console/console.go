// Package console is how commands speak: tables and lines for people, JSON for programs.
package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// Console is what a command reads and writes.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
	// Getenv reads the environment.
	Getenv func(name string) string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// JSON asks for JSON on Out: one object for what is one thing, one line for each of several.
	JSON bool
}

// User is who is at the terminal, as the shell or the system's log-in tells it; empty where neither does.
func (c *Console) User() string { return cmp.Or(c.Getenv("USER"), c.Getenv("LOGNAME")) }

// Result writes a value as one line of JSON, or lets text write it for people. A table that is wider than their terminal is set so that it fits.
func (c *Console) Result(value any, text func(w *strings.Builder)) error {
	if c.JSON {
		return c.Line(value)
	}
	var all strings.Builder
	text(&all)
	if _, err := io.WriteString(c.Out, fit(all.String(), width(c.Out))); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// Line writes a value as one line of JSON.
func (c *Console) Line(value any) error {
	encoder := json.NewEncoder(c.Out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// Row writes one row of a table at once, for tables that grow while they are read; its last cell may be of any length.
func (c *Console) Row(cells []string) error {
	line := strings.Join(cells, strings.Repeat(" ", gap)) + "\n"
	if columns := width(c.Out); columns > 0 {
		g := &grid{names: make([]string, len(cells)), rows: [][]string{cells}}
		g.measure()
		var b strings.Builder
		g.fold(&b, cells, g.assign(columns), columns)
		line = b.String()
	}
	if _, err := io.WriteString(c.Out, line); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// Note tells people something on the side, on Err.
func (c *Console) Note(format string, args ...any) {
	lines := strings.Split(fmt.Sprintf(format, args...), "\n")
	if columns := width(c.Err); columns > 0 && !c.JSON {
		for i, line := range lines {
			if len([]rune(line)) > columns {
				lines[i] = strings.Join(wrap(line, columns), "\n")
			}
		}
	}
	// Where even this cannot be written there is nobody to tell.
	_, _ = fmt.Fprintln(c.Err, strings.Join(lines, "\n"))
}

// Progress draws a bar on the side, over the one before where Err is a terminal, else on a line of its own.
// It is ended with EndProgress.
func (c *Console) Progress(done, total int64, text string) {
	const width = 30
	full := 0
	if total > 0 {
		full = int(min(width*done/total, width))
	}
	line := fmt.Sprintf("[%s%s] %d of %d%s", strings.Repeat("#", full), strings.Repeat(".", width-full), done, total, text)
	if !c.terminal() {
		c.Note("%s", line)
		return
	}
	_, _ = fmt.Fprint(c.Err, "\r"+line+"\x1b[K") // as Note
}

// EndProgress leaves the last bar where it is.
func (c *Console) EndProgress() {
	if c.terminal() {
		c.Note("")
	}
}

func (c *Console) terminal() bool {
	file, is := c.Err.(*os.File)
	if !is {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Table writes rows under a header, in columns. An empty table says so.
func Table(w *strings.Builder, header string, rows [][]string) {
	if len(rows) == 0 {
		fmt.Fprintln(w, "(none)")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, strings.ToUpper(strings.Join(strings.Fields(header), "\t")))
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "-"
			}
		}
		_, _ = fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // memory takes it all
}

// Time is a time for people; empty for none.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
