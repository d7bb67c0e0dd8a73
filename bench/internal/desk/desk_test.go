package desk_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/bench/internal/desk"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/store"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // it needs a database
	}
	goleak.VerifyTestMain(m)
}

// Every question is asked and gets a line; a limit that nothing can hold is told.
func TestReach(t *testing.T) {
	t.Parallel()
	database := postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	})
	pool := database.Pool(t)
	asking := postgrestest.Open(t, postgres.Config{URL: database.As(t, string(migrations.API)).URL(), RowScope: store.TenantSetting, MaxConns: 1})
	var out strings.Builder
	m := desk.Reach{Letters: 2000, Asks: 1, Limit: time.Hour, Out: &out, Progress: t.Output()}
	if err := m.Measure(t.Context(), pool, asking); err != nil {
		t.Fatal(err)
	}
	for _, question := range []string{"newest", "reason + method", "device + client", "id + text", "groups of the last 7 days", "counts of all", "to the end: "} {
		if !strings.Contains(out.String(), question) {
			t.Errorf("no figure for %q:\n%s", question, out.String())
		}
	}
	m.Limit = time.Nanosecond
	if err := m.Measure(t.Context(), pool, asking); !errors.Is(err, desk.ErrSlow) {
		t.Errorf("against a limit of nothing: %v", err)
	}
}

func TestSettling(t *testing.T) {
	t.Parallel()
	database := func() *postgres.Pool {
		return postgrestest.New(t, func(ctx context.Context, url string) error {
			_, err := migrations.Up(ctx, url)
			return err
		}).Pool(t)
	}
	var out strings.Builder
	m := desk.Settling{Rounds: 1, Length: 50 * time.Millisecond, Workers: 2, Out: &out}
	if err := m.Measure(t.Context(), database(), database()); err != nil || !strings.Contains(out.String(), "without reach") {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	m.Rounds = 2
	if err := m.Disturb(t.Context(), database(), 1500, t.Logf); err != nil || !strings.Contains(out.String(), "ratio: median") {
		t.Errorf("%q, %v", out.String(), err)
	}
	removed := strings.Fields(strings.Split(out.String(), "\n")[2])
	if len(removed) != 5 || removed[4] == "0" {
		t.Errorf("the janitor deleted nothing:\n%s", out.String())
	}
}
