// Command runbook makes the incidents of docs/operations.md happen on a platform of its own, and writes what the commands print into
// the page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/cupline/cupline/e2e/runbook"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runbook:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	page := flag.String("page", "docs/operations.md", "the `file` to write into")
	flag.Parse()
	content, err := os.ReadFile(*page)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "cupline-runbook-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	book, err := runbook.Run(ctx, folder)
	if err != nil {
		return err
	}
	written, err := book.Write(string(content))
	if err != nil {
		for name, block := range book {
			fmt.Fprintf(os.Stderr, "--- %s\n%s", name, block)
		}
		return err
	}
	return os.WriteFile(*page, []byte(written), 0o644)
}
