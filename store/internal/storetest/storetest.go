// Package storetest gives the store's tests a migrated database.
package storetest

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/migrations"
)

// Patience bounds each thing that a test waits for: long enough for a machine that stands still now and then.
const Patience = time.Minute

// Main runs a package's tests, which all need Postgres: under -short there is nothing to run.
// A goroutine that is left over fails the package.
func Main(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// Database makes a migrated database of the test's own.
func Database(t testing.TB) *postgrestest.Database {
	t.Helper()
	return postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	})
}

// Pool opens a pool of that many connections at url, until the test ends.
func Pool(t testing.TB, url, name string, connections int32) *postgres.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), postgres.Config{
		URL: url, MaxConns: connections, ApplicationName: name, ConnectTimeout: Patience,
	})
	if err != nil {
		t.Fatalf("open a pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}
