package root_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cupline/cupline/cli/internal/exit"
)

// words splits a line as a shell does, where it has nothing but words and double quotes.
func words(line string) (all []string) {
	for _, word := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1) {
		all = append(all, strings.Trim(word, `"`))
	}
	return all
}

// sources is the text of the command line's own Go files.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// Every command of the runbook is one that there is, with flags that it has, and prints a table with those columns.
func TestTheRunbooksCommandsAreThere(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(page), "\n")
	code, commands, tables := sources(t), 0, 0
	header := regexp.MustCompile(`^[A-Z][A-Z/-]*(  +[A-Z][A-Z/-]*)+$`)
	for i, line := range lines {
		command, found := strings.CutPrefix(line, "$ cupline ")
		if !found {
			continue
		}
		commands++
		args := words(command)
		if e := execute(t.Context(), nil, "", append(args, "--help")...); e.code != exit.OK || !strings.Contains(e.out, "Usage:\n  cupline "+args[0]) {
			t.Errorf("line %d: %s: %+v", i+1, command, e)
		}
		for _, printed := range lines[i+1:] {
			if strings.HasPrefix(printed, "$ ") || strings.HasPrefix(printed, "```") {
				break
			}
			if header.MatchString(printed) {
				tables++
				if columns := strings.ToLower(strings.Join(strings.Fields(printed), " ")); !strings.Contains(code, `"`+columns) {
					t.Errorf("line %d: no command prints the columns %q", i+1, columns)
				}
				break
			}
		}
	}
	if commands < 12 || tables < 6 {
		t.Errorf("the page has %d commands and %d tables: is it read as it is written?", commands, tables)
	}
}
