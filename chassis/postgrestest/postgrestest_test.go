package postgrestest_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/postgrestest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("short: the tests that need Postgres are not run")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var migrated atomic.Int32

func migrate(ctx context.Context, url string) error {
	migrated.Add(1)
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = connection.Exec(ctx, "create table cups (name text)")
	return err // left open: making a copy must not mind
}

func TestEachTestHasItsOwnCopyOfOneTemplate(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			pool := postgrestest.New(t, migrate).Pool(t)
			var cups int
			const add = "with added as (insert into cups values ('a')) select count(*) from cups"
			if err := pool.QueryRow(t.Context(), add).Scan(&cups); err != nil || cups != 0 {
				t.Fatalf("%d cups, %v", cups, err)
			}
			if n := migrated.Load(); n != 1 {
				t.Fatalf("migrated %d times", n)
			}
		})
	}
}

func TestAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	var name string
	if err := db.Pool(t).QueryRow(t.Context(), "select current_database()").Scan(&name); err != nil || name != db.Name() {
		t.Fatalf("%s, %v", name, err)
	}
}
