// Command pair tries one thing against another: it runs the bench with what makes A and with what makes B in turns, A first and
// B first alternately, and prints the ratio of each figure over all pairs.
//
//	pair [--pairs N] [--a "FLAG..."] [--b "FLAG..."] [--a-checkout DIR] [--b-checkout DIR] [-- FLAG...]
//
// What stands behind -- goes to the bench on both sides, such as --cases swift,ledger. It exits with 1 when a run gave no figure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cupline/cupline/bench/internal/report"
	"github.com/cupline/cupline/local/services"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// endLimit is how long a bench may take to end what it has started, once it is told to.
const endLimit = 4 * time.Minute

// side is one of the two.
type side struct {
	name, checkout string
	flags          []string
	program        string
}

// trial is all that is asked for.
type trial struct {
	pairs  int
	sides  [2]*side
	common []string
	folder string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, arguments []string, out, progress io.Writer) int {
	t, err := parse(arguments, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(progress, "pair:", err)
		return exitUsage
	}
	if err := t.run(ctx, out, progress); err != nil {
		fmt.Fprintln(progress, "pair:", err)
		return exitFailed
	}
	return 0
}

func parse(arguments []string, progress io.Writer) (*trial, error) {
	root, err := services.Root()
	if err != nil {
		return nil, err
	}
	t := &trial{sides: [2]*side{{name: "A", checkout: root}, {name: "B", checkout: root}}}
	flags := flag.NewFlagSet("pair", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.IntVar(&t.pairs, "pairs", 10, "how often each side is run; fewer than 6 give no verdict")
	for _, s := range t.sides {
		name := strings.ToLower(s.name)
		flags.Func(name, "`flags` of the bench for side "+s.name+", such as \"--set GOGC=400\"", func(text string) error {
			s.flags = strings.Fields(text)
			return nil
		})
		flags.StringVar(&s.checkout, name+"-checkout", root, "the checkout that side "+s.name+" is built from: a `folder`")
	}
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if t.common = flags.Args(); t.pairs < 1 {
		return nil, fmt.Errorf("--pairs is %d: must be 1 or more", t.pairs)
	}
	return t, nil
}

func (t *trial) run(ctx context.Context, out, progress io.Writer) (err error) {
	if t.folder, err = os.MkdirTemp("", "cupline-pair-"); err != nil {
		return fmt.Errorf("make a folder for what the benches find: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.folder)) }()
	for _, s := range t.sides {
		if err := t.build(ctx, s); err != nil {
			return err
		}
	}
	var pairs []report.Pair
	for i := range t.pairs {
		var found [2]report.Report
		for _, turn := range []int{i % 2, 1 - i%2} {
			fmt.Fprintf(progress, "pair %d of %d, %s\n", i+1, t.pairs, t.sides[turn].name)
			if found[turn], err = t.measure(ctx, t.sides[turn], progress); err != nil {
				return err
			}
		}
		pairs = append(pairs, report.Pair{A: found[0], B: found[1]})
	}
	return report.WritePairs(out, len(pairs), report.InPairs(pairs))
}

// build makes the side's bench of the side's own checkout: how it measures belongs to what it measures.
func (t *trial) build(ctx context.Context, s *side) error {
	s.program = filepath.Join(t.folder, "bench-"+s.name)
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", s.program, "./bench/cmd/bench")
	build.Dir = s.checkout
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the bench of %s: %w\n%s", s.checkout, err, said)
	}
	return nil
}

// measure runs one side once.
func (t *trial) measure(ctx context.Context, s *side, progress io.Writer) (report.Report, error) {
	file := filepath.Join(t.folder, "found.json")
	flags := append([]string{"--rounds", "1", "--json", file, "--html", "", "--folder", filepath.Join(t.folder, "run")}, t.common...)
	bench := exec.CommandContext(ctx, s.program, append(flags, s.flags...)...)
	bench.Dir, bench.Stdout, bench.Stderr = s.checkout, io.Discard, progress
	bench.Cancel = func() error { return bench.Process.Signal(syscall.SIGTERM) }
	bench.WaitDelay = endLimit
	if err := bench.Run(); err != nil {
		return report.Report{}, fmt.Errorf("the bench of %s with %q: %w", s.checkout, bench.Args[1:], err)
	}
	return report.Read(file)
}
