package postgres_test

import (
	"context"
	"testing"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
)

// A connection that goes from hand to hand never carries the scope of who had it before.
func TestRowScopeIsTheAcquirers(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	pool := postgrestest.Open(t, postgres.Config{URL: db.URL(), MaxConns: 1, RowScope: "test.scope", ApplicationName: "scoped"})
	see := func(ctx context.Context) (scope string) {
		t.Helper()
		if err := pool.QueryRow(ctx, "select coalesce(current_setting('test.scope', true), '')").Scan(&scope); err != nil {
			t.Fatal(err)
		}
		return scope
	}
	for _, want := range []string{"a", "a", "b", "", "b", "it's"} {
		ctx := t.Context()
		if want != "" {
			ctx = postgres.WithRowScope(ctx, want)
		}
		if got := see(ctx); got != want {
			t.Errorf("under %q it is %q", want, got)
		}
	}
	scoped := postgres.WithRowScope(t.Context(), "a")
	tx, err := pool.Begin(scoped)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(scoped, "select 1/0"); err == nil {
		t.Fatal("divided by zero")
	}
	if err := tx.Rollback(scoped); err != nil {
		t.Fatal(err)
	}
	if got := see(scoped); got != "a" {
		t.Errorf("after a rollback it is %q", got)
	}
	if n := db.Cut(t, "scoped"); n != 1 {
		t.Errorf("%d connections", n)
	}
	// The lost connection is found out by the statement or by the scope; the next has it again.
	_, _ = pool.Exec(postgres.WithRowScope(t.Context(), "b"), "select 1")
	if got := see(postgres.WithRowScope(t.Context(), "b")); got != "b" {
		t.Errorf("on a new connection it is %q", got)
	}
}
