// Package dispatchtest makes commands, and the database that they are written to, for the
// dispatcher's tests.
package dispatchtest

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/store/ledger"
)

// Limit bounds each thing that a test waits for: long enough for a machine that stands still now and then.
const Limit = time.Minute

// Main runs the tests of a package that needs a broker or a database for all of them:
// under -short there is nothing to run. A goroutine that is left over fails the package.
func Main(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// Database is a migrated database of the test's own.
func Database(t testing.TB) *postgrestest.Database {
	t.Helper()
	return postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	})
}

// Writer is a ledger on the pool, stopped when the test ends.
func Writer(t testing.TB, pool *postgres.Pool) *ledger.Writer {
	t.Helper()
	w, err := ledger.NewWriter(pool, ledger.Config{BatchTimeout: Limit}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Limit)
		defer cancel()
		if err := w.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

// SetRelay is a request with the id c-1.
const SetRelay = `{"jsonrpc":"2.0","id":"c-1","method":"relay.set","params":{"on":true}}`

// Envelope is a command as an api accepts it, with a command id of its own. Its timeout is none that a busy machine runs into while
// a device is made to wait: what is to end by it asks for a shorter one.
func Envelope(body string, change ...func(*envelope.Command)) envelope.Command {
	now := time.Now().UTC().Truncate(time.Millisecond)
	c := envelope.Command{
		Lane: "default", Tenant: "acme", Device: "lamp-1", Client: "app", ID: uuid.Must(uuid.NewV7()),
		DeviceType: "lamp", Driver: "mqtt", Timeout: 30 * time.Second, Accepted: now, Deadline: now.Add(time.Minute),
		Body: []byte(body),
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// Read is the same as a dispatcher reads it.
func Read(t testing.TB, c envelope.Command) *dispatch.Command {
	t.Helper()
	m := c.Message(time.Now())
	read, err := dispatch.Read(&m)
	if err != nil {
		t.Fatal(err)
	}
	return read
}
