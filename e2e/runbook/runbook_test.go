package runbook_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/e2e/runbook"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // it starts a whole platform
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// What the page says is typed can be typed, and prints those columns.
func TestTheRunbook(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	said := runbook.Read(string(content))
	book, err := runbook.Run(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.Write(string(content)); err != nil {
		t.Fatal(err)
	}
	for name := range said {
		if has, is := said.Shape(name), book.Shape(name); !slices.Equal(has, is) || len(is) == 0 {
			t.Errorf("%s is on the page as\n%s\nand is\n%s\n; make runbook writes it anew", name, strings.Join(has, "\n"), strings.Join(is, "\n"))
		}
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	const page = "# A\n<!-- runbook: one -->\n```\n$ cupline queues\nQUEUE  KIND\nq      lane\n```\n"
	b := runbook.Read(page)
	if shape := b.Shape("one"); !slices.Equal(shape, []string{"$ cupline queues", "QUEUE KIND"}) {
		t.Errorf("%q", shape)
	}
	b["one"] = "$ x\n"
	if written, err := b.Write(page); err != nil || written != "# A\n<!-- runbook: one -->\n```\n$ x\n```\n" {
		t.Errorf("%q, %v", written, err)
	}
	if _, err := (runbook.Book{"two": ""}).Write(page); err == nil {
		t.Error("a scene without a block, and a block without a scene")
	}
}
