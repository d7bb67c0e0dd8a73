package chart_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/cupline/cupline/install/chart"
)

const (
	install = ".."         // the module
	folder  = "../../helm" // the chart
	bin     = "../../.bin" // where Helm is kept
	golden  = "testdata/defaults.yaml"
)

// helms are the programs by their major version.
var helms = map[int]string{}

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs Helm
	}
	if err := build(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// build makes them, one after the other: each takes all of the machine.
func build(ctx context.Context) error {
	for _, major := range []int{3, 4} {
		program, err := chart.BuildHelm(ctx, install, bin, major)
		if err != nil {
			return err
		}
		helms[major] = program
	}
	return nil
}
