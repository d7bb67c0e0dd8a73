package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// keep starts both and leaves them running. What runs already is left as it is.
func keep(ctx context.Context, base, install string) error {
	if err := ensure(ctx, install); err != nil {
		return err
	}
	if both, err := openPair(base); err == nil && both.running() {
		fmt.Fprintln(os.Stderr, "already running in", base)
		return nil
	}
	_, err := startPair(ctx, base)
	return err
}

// printExports prints shell commands; they hold passwords, which is what they are for.
func printExports(base string) error {
	both, err := openPair(base)
	if err != nil {
		return err
	}
	if !both.running() {
		return fmt.Errorf("nothing runs in %s: testbed start %s", base, base)
	}
	for _, export := range both.exports() {
		name, value, _ := strings.Cut(export, "=")
		fmt.Printf("export %s='%s'\n", name, value)
	}
	return nil
}

func stopKept(base string) error {
	both, err := openPair(base)
	if err != nil {
		return err
	}
	return both.stop()
}
