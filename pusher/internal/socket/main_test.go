package socket

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if target := os.Getenv(crowdTarget); target != "" {
		// This process is the other side of BenchmarkIdleConnections.
		if err := crowd(target, os.Getenv(crowdSize)); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
