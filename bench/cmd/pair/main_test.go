package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFlags(t *testing.T) {
	t.Parallel()
	asked, err := parse([]string{"--pairs", "6", "--b", "--set GOGC=400 --set X=1", "--a-checkout", "/old", "--", "--cases", "swift"}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	a, b := asked.sides[0], asked.sides[1]
	if asked.pairs != 6 || a.checkout != "/old" || len(a.flags) != 0 || len(b.flags) != 4 || b.checkout == "" || len(asked.common) != 2 {
		t.Errorf("%+v, %+v, %+v", asked, a, b)
	}
	if _, err := parse([]string{"--pairs", "0"}, t.Output()); err == nil {
		t.Error("no pair is no trial")
	}
}

// What a side cannot be built from is told before anything is measured.
func TestNoCheckout(t *testing.T) {
	t.Parallel()
	var out, progress bytes.Buffer
	if code := run(t.Context(), []string{"--a-checkout", t.TempDir()}, &out, &progress); code != exitFailed || !strings.Contains(progress.String(), "build the bench") {
		t.Errorf("exit code %d: %s", code, &progress)
	}
}

// Two sides that are the same, for as short as can be: a table with a ratio for each figure.
func TestPair(t *testing.T) {
	if testing.Short() {
		return // it starts a broker
	}
	t.Parallel()
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{"--pairs", "1", "--", "--smoke", "--cases", "plain"}, &out, &progress)
	if code != 0 || !strings.Contains(out.String(), "plain  per s") || !strings.Contains(out.String(), "too few pairs") {
		t.Errorf("exit code %d: %s%s", code, &out, &progress)
	}
}
