package clock_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/e2e/faults/clock"
)

// program prints its time in seconds, and how long it thinks that a moment took.
const program = `package main

import (
	"fmt"
	"time"
)

func main() {
	began := time.Now()
	fmt.Println(began.Unix(), time.Since(began) < time.Minute)
}
`

func TestAProgramsClockIsWrong(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	overlay, err := clock.Overlay(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	source, built := filepath.Join(folder, "main.go"), filepath.Join(folder, "program")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", built, source)
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for ahead, want := range map[string]time.Duration{"1h": time.Hour, "-1h": -time.Hour, "": 0} {
		run := exec.CommandContext(t.Context(), built)
		if ahead != "" {
			run.Env = append(os.Environ(), clock.Variable+"="+ahead)
		}
		said, err := run.Output()
		if err != nil {
			t.Fatal(err)
		}
		seconds, steady, _ := strings.Cut(strings.TrimSpace(string(said)), " ")
		at, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if off := time.Until(time.Unix(at, 0)) - want; off.Abs() > 5*time.Minute || steady != "true" {
			t.Errorf("%q: it is wrong by %s more; a moment is a moment: %s", ahead, off, steady)
		}
	}
}
