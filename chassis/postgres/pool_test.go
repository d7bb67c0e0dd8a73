package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
)

// patience bounds each thing that is waited for: long enough for a machine that stands still now and then.
const patience = time.Minute

func fill(ctx context.Context, url string) error {
	pool, err := postgres.Open(ctx, postgres.Config{URL: url})
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = pool.Exec(ctx, "create table cups (name text primary key, size int check (size > 0))")
	return err
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func exec(t *testing.T, pool *postgres.Pool, statement string, arguments ...any) {
	t.Helper()
	if _, err := pool.Exec(within(t, patience), statement, arguments...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestReadyTellsAWritableDatabase(t *testing.T) {
	t.Parallel()
	pool := postgrestest.New(t, nil).Pool(t)
	ctx := within(t, patience)
	poll(t, "it is ready", func() bool { return pool.Ready(ctx) == nil }) // on a busy machine its own limit may end before
}

func TestReadyFindsAReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, fill)
	admin := db.Pool(t)
	pool := postgrestest.Open(t, postgres.Config{URL: db.URL(), ApplicationName: "read-only"})
	exec(t, pool, "insert into cups values ('before', 1)")
	// Set while it is connected, as a full disk makes some operators do.
	exec(t, admin, "alter database "+db.Name()+" set default_transaction_read_only = on")
	exec(t, pool, "set default_transaction_read_only = on")
	ctx := within(t, patience)
	poll(t, "it is found read-only", func() bool { // on a busy machine its own limit may end before
		err := pool.Ready(ctx)
		if err == nil {
			t.Fatal("it counts as ready")
		}
		return strings.Contains(err.Error(), "read-only")
	})
	// A new connection is refused by the read-write check.
	fresh := postgrestest.Open(t, postgres.Config{URL: db.URL()})
	if err := fresh.Ready(within(t, patience)); err == nil {
		t.Fatal("a read-only database is ready")
	}
}

func TestOpenSucceedsWithTheDatabaseAway(t *testing.T) {
	t.Parallel()
	pool := postgrestest.Open(t, postgres.Config{URL: "postgres://u:hunter2@127.0.0.1:1/db"}) // a port that nobody gets by chance
	err := pool.Ready(within(t, patience))
	if !postgres.IsUnavailable(err) {
		t.Fatalf("got %v, want unavailable", err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("the password is shown: %v", err)
	}
}

func TestABadURLShowsNoPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "postgres://u:hunter2@h:port/db", "postgres://u:hunter2%zz@h/db", "host=h password=hunter2 port=x"} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v", url, err)
		}
	}
}

func TestReadyIsKeptForASecondAndRecovers(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	proxy := db.Proxy(t)
	pool := postgrestest.Open(t, postgres.Config{URL: db.ProxyURL(proxy)})
	ctx := within(t, patience)
	var asked time.Time
	poll(t, "it is ready", func() bool {
		asked = time.Now()
		return pool.Ready(ctx) == nil
	})
	proxy.Refuse()
	// On a busy machine the second may be over by now: then it is rightly asked anew.
	if err := pool.Ready(ctx); err != nil && time.Since(asked) < time.Second {
		t.Fatalf("the answer was not kept: %v", err)
	}
	poll(t, "Ready notices", func() bool { return pool.Ready(ctx) != nil })
	proxy.Heal()
	poll(t, "Ready recovers", func() bool { return pool.Ready(ctx) == nil })
}

// poll waits for what gives no signal.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	over := time.After(patience)
	for !ok() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-over:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func TestALostCommit(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, fill)
	proxy := db.Proxy(t)
	pool := postgrestest.Open(t, postgres.Config{URL: db.ProxyURL(proxy)})
	ctx := within(t, patience)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "insert into cups values ('lost', 1)"); err != nil {
		t.Fatal(err)
	}
	lost := proxy.LoseAnswer([]byte("commit"))
	if err := tx.Commit(ctx); !postgres.IsUnavailable(err) {
		t.Fatalf("got %v, want unavailable", err)
	}
	<-lost
	var n int
	if err := pool.QueryRow(ctx, "select count(*) from cups").Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d rows, %v: the commit was to have happened", n, err)
	}
}

func TestErrorsAreAskedByBehaviour(t *testing.T) {
	t.Parallel()
	pool := postgrestest.New(t, fill).Pool(t)
	ctx := within(t, patience)
	exec(t, pool, "insert into cups values ('a', 1)")
	failing := func(statement string, arguments ...any) error {
		t.Helper()
		_, err := pool.Exec(ctx, statement, arguments...)
		if err == nil {
			t.Fatalf("%s: no error", statement)
		}
		return err
	}
	unique := failing("insert into cups values ('a', 2)")
	checked := failing("insert into cups values ('b', -1)")
	nul := failing("insert into cups values ($1, 1)", "a\x00b")
	syntax := failing("insert cups")
	timeout := func() error {
		_, err := pool.Exec(within(t, time.Millisecond), "select pg_sleep(5)")
		return err
	}()
	row := pool.QueryRow(ctx, "select name from cups where name = 'z'").Scan(new(string))
	for name, c := range map[string]struct {
		err                                             error
		refused, unique, unavailable, retryable, noRows bool
	}{
		"unique":   {err: unique, refused: true, unique: true},
		"check":    {err: checked, refused: true},
		"nul byte": {err: nul, refused: true},
		"syntax":   {err: syntax},
		"timeout":  {err: timeout, unavailable: true},
		"no rows":  {err: row, noRows: true},
		"deadlock": {err: &pgconn.PgError{Code: "40P01"}, retryable: true},
		"shutdown": {err: &pgconn.PgError{Code: "57P01"}, unavailable: true},
		"replica":  {err: &pgconn.PgError{Code: "25006"}, unavailable: true},
		"full":     {err: &pgconn.PgError{Code: "53100"}, unavailable: true},
		"nil":      {},
		"other":    {err: errors.New("other")},
	} {
		got := []bool{
			postgres.IsRefusedRow(c.err), postgres.IsUnique(c.err), postgres.IsUnavailable(c.err),
			postgres.IsRetryable(c.err), postgres.IsNoRows(c.err),
		}
		want := []bool{c.refused, c.unique, c.unavailable, c.retryable, c.noRows}
		for i, question := range []string{"refused", "unique", "unavailable", "retryable", "no rows"} {
			if got[i] != want[i] {
				t.Errorf("%s (%v): %s is %t", name, c.err, question, got[i])
			}
		}
	}
}
