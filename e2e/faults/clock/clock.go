// Package clock builds programs whose clock can be wrong. A Go program reads the time without
// the C library, so nothing from outside can give it another; instead it is compiled with a
// package time of one more line, by the overlay that `go build` has for such things. All that it
// is made of sees the wrong time: its own code, and every library.
package clock

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Variable of the environment by which a program that was built so learns how far ahead (30m)
// or behind (-30m) its clock is.
const Variable = "CUPLINE_TEST_CLOCK_AHEAD"

// The line of time.Now that reads the clock, and what takes its place. The monotonic reading is
// left alone: it counts from the machine's start, and is never wrong.
const (
	reading = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {"
	wrong   = "\tsec, nsec, mono := runtimeNow()\n\tsec += ahead\n\tif mono == 0 {"

	// A value that cannot be read ends the program before it does anything.
	addition = `package time

import "syscall"

var ahead = readAhead()

func readAhead() int64 {
	value, set := syscall.Getenv("` + Variable + `")
	if !set {
		return 0
	}
	d, err := ParseDuration(value)
	if err != nil {
		panic("` + Variable + `: " + err.Error())
	}
	return int64(d / Second)
}
`
)

// Overlay writes into the folder what `go build -overlay` needs, and returns its path. The error
// says that this Go's package time is written in another way.
func Overlay(ctx context.Context, folder string) (string, error) {
	found, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find the source of package time: %w", err)
	}
	source := filepath.Join(string(bytes.TrimSpace(found)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", fmt.Errorf("find the source of package time: %w", err)
	}
	if bytes.Count(text, []byte(reading)) != 1 {
		return "", fmt.Errorf("time.Now in %s reads the clock in another way than is known here: look at it, and change this package", source)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(source, "time.go"):  filepath.Join(folder, "time.go"),
		filepath.Join(source, "ahead.go"): filepath.Join(folder, "ahead.go"),
	}})
	if err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	for name, content := range map[string][]byte{
		"time.go": bytes.Replace(text, []byte(reading), []byte(wrong), 1), "ahead.go": []byte(addition), "overlay.json": overlay,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return "", fmt.Errorf("write the overlay: %w", err)
		}
	}
	return filepath.Join(folder, "overlay.json"), nil
}
