package runbook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// block of the page: a marker, and the fence below it.
var block = regexp.MustCompile("(?s)<!-- runbook: ([a-z ]+) -->\n```\n(.*?)```\n")

// Write puts what was printed into the page's blocks. A block that nobody played, or a scene that has no block, is an error.
func (b Book) Write(page string) (string, error) {
	written := map[string]bool{}
	var stray []string
	page = block.ReplaceAllStringFunc(page, func(found string) string {
		name := block.FindStringSubmatch(found)[1]
		content, played := b[name]
		if !played {
			stray = append(stray, name)
			return found
		}
		written[name] = true
		return fmt.Sprintf("<!-- runbook: %s -->\n```\n%s```\n", name, content)
	})
	for name := range b {
		if name != "" && !written[name] {
			stray = append(stray, name)
		}
	}
	slices.Sort(stray)
	if len(stray) > 0 {
		return "", fmt.Errorf("the page and the scenes differ about: %s", strings.Join(stray, ", "))
	}
	return page, nil
}

// Read finds the page's blocks.
func Read(page string) Book {
	b := Book{}
	for _, found := range block.FindAllStringSubmatch(page, -1) {
		b[found[1]] = found[2]
	}
	return b
}

var (
	uuids  = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	header = regexp.MustCompile(`^[A-Z][A-Z/-]*(  +[A-Z][A-Z/-]*)+ *$`)
)

// Shape is what stays of a block from one run to the next: the commands without ids, and the headers of the tables that they print.
func (b Book) Shape(name string) (shape []string) {
	for line := range strings.Lines(b[name]) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "$ "):
			shape = append(shape, uuids.ReplaceAllString(line, "ID"))
		case header.MatchString(line):
			shape = append(shape, strings.Join(strings.Fields(line), " "))
		}
	}
	return shape
}
