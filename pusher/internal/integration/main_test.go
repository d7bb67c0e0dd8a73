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
	flag.Parse()
	if testing.Short() {
		fmt.Println("needs a broker and a database: nothing to do with -short")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
