package integration

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Everything here needs a broker and a database.
func TestMain(m *testing.M) {
	if target := os.Getenv(crowdTarget); target != "" {
		// This process is the clients of BenchmarkIdleClients.
		if err := crowd(target, os.Stdin); err != nil {
			panic(err)
		}
		return
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("needs a broker and a database: nothing to do with -short")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
