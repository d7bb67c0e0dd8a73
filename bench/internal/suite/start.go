package suite

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cupline/cupline/bench/internal/child"
	"github.com/cupline/cupline/bench/internal/desk"
	"github.com/cupline/cupline/bench/internal/report"
)

const (
	upLimit = 5 * time.Minute
	// upIsReady is what `cupline up` says then.
	upIsReady = "Cupline is ready"
	// slowest is how many of the tests' packages are told of.
	slowest = 15
)

// letters fills the tables of dead letters.
func (b *bench) letters(ctx context.Context, letters int) error {
	say := func(format string, values ...any) { fmt.Fprintf(b.cfg.Progress, format+"\n", values...) }
	return desk.Fill(ctx, b.platform.Pool(), letters, say)
}

// starting times `make up` in a folder that is empty, and again in the same one.
func starting(ctx context.Context, b *bench) (figures []report.Figure, err error) {
	var found findings
	folder := filepath.Join(b.cfg.Folder, "up")
	cli := b.platform.Program("cupline")
	forget := func() error { return os.RemoveAll(folder) }
	if err := forget(); err != nil {
		return found, err
	}
	defer func() {
		reset := exec.CommandContext(context.WithoutCancel(ctx), cli, "up", "--reset", "--folder", folder)
		reset.Dir = b.cfg.Root
		if said, failed := reset.CombinedOutput(); failed != nil {
			err = errors.Join(err, fmt.Errorf("forget what make up kept: %w: %s", failed, said))
		}
		err = errors.Join(err, forget())
	}()
	for _, at := range []string{"cold: an empty folder", "warm: the folder of the run before"} {
		took, err := b.up(ctx, cli, folder)
		if err != nil {
			return found, err
		}
		found.add("make up until ready", at, took.Seconds(), "s")
	}
	return found, nil
}

func (b *bench) up(ctx context.Context, cli, folder string) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, upLimit)
	defer cancel()
	began := time.Now()
	up, err := child.Start(ctx, "/bin/sh", nil, "-c", `cd "$0" && exec "$1" up --folder "$2" 2>&1`, b.cfg.Root, cli, folder)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, up.Stop()) }()
	for said := ""; ; {
		line, err := up.Line(ctx)
		if err != nil {
			return 0, fmt.Errorf("make up: %w; it said:\n%s", err, said)
		}
		if strings.Contains(line, upIsReady) {
			return time.Since(began), nil
		}
		said += line + "\n"
	}
}

// tests tells how long the tests take, by package.
func tests(ctx context.Context, b *bench) ([]report.Figure, error) {
	if b.cfg.TestOutput != "" {
		file, err := os.Open(b.cfg.TestOutput)
		if err != nil {
			return nil, fmt.Errorf("read what the tests said: %w", err)
		}
		defer file.Close()
		return parts(file)
	}
	testbed := filepath.Join(b.cfg.Folder, "bin", "testbed")
	build := exec.CommandContext(ctx, "go", "build", "-o", testbed, "./local/cmd/testbed")
	build.Dir = b.cfg.Root
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the testbed: %w: %s", err, said)
	}
	run := exec.CommandContext(ctx, testbed, "--", "go", "test", "-json", "-count", "1", "-race", "work")
	run.Dir, run.Stderr = b.cfg.Root, b.cfg.Progress
	out, err := run.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	if err := run.Start(); err != nil {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	found, err := parts(out)
	if failed := run.Wait(); failed != nil {
		err = errors.Join(err, fmt.Errorf("the tests: %w", failed))
	}
	return found, err
}

// parts reads the output of `go test -json`: the time of all packages together, the time from first to last, and the slowest packages.
func parts(in io.Reader) ([]report.Figure, error) {
	type event struct {
		Time    time.Time
		Action  string
		Package string
		Test    string
		Elapsed float64
	}
	var (
		found       findings
		packages    []report.Figure
		total       float64
		first, last time.Time
	)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Package == "" {
			continue // a tool's word between the events
		}
		if first.IsZero() {
			first = e.Time
		}
		last = e.Time
		if e.Test == "" && (e.Action == "pass" || e.Action == "fail") {
			total += e.Elapsed
			packages = append(packages, report.Figure{What: "tests of", At: strings.TrimPrefix(e.Package, "github.com/cupline/cupline/"), Value: e.Elapsed, Unit: "s"})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what the tests said: %w", err)
	}
	if len(packages) == 0 {
		return nil, errors.New("no package was tested")
	}
	slices.SortStableFunc(packages, func(a, b report.Figure) int { return cmp.Compare(b.Value, a.Value) })
	found.add("make test", "from the first to the last", last.Sub(first).Seconds(), "s")
	found.add("make test", fmt.Sprintf("%d packages added up", len(packages)), total, "s")
	return append(found, packages[:min(slowest, len(packages))]...), nil
}
