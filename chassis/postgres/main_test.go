package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// All tests here but those of errors need Postgres; errors are cheap enough to go with them.
func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("short: the tests that need Postgres are not run")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
