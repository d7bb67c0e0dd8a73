package migrations

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/cupline/cupline/chassis/postgrestest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // everything here needs Postgres
	}
	goleak.VerifyTestMain(m)
}

func read(t *testing.T, sources map[string]string) []file {
	t.Helper()
	files, err := readFiles(source(sources))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func source(sources map[string]string) fs.FS {
	source := fstest.MapFS{}
	for name, sql := range sources {
		source[name] = &fstest.MapFile{Data: []byte(sql)}
	}
	return source
}

// database is empty; exec runs statements on it.
func database(t *testing.T) (url string, exec func(sql string) error) {
	t.Helper()
	url = postgrestest.New(t, nil).URL()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return url, func(sql string) error {
		_, err := conn.Exec(t.Context(), sql)
		return err
	}
}

func TestNamesAreHeldToTheirOrder(t *testing.T) {
	t.Parallel()
	for problem, names := range map[string][]string{
		"001_b.sql: 001 is taken":                     {"001_a.sql", "001_b.sql"},
		"1_a.sql: a name must be NNN_name.sql":        {"1_a.sql"},
		"001_.sql: a name must be NNN_name.sql":       {"001_.sql"},
		"000_a.sql: a name must be NNN_name.sql":      {"000_a.sql"},
		"README.md: a name must be NNN_name.sql":      {"001_a.sql", "README.md"},
		"001a.sql: a name must be NNN_name.sql":       {"001a.sql"},
		"001_a.sql.orig: a name must be NNN_name.sql": {"001_a.sql.orig"},
		"+01_a.sql: a name must be NNN_name.sql":      {"+01_a.sql"},
	} {
		sources := map[string]string{}
		for _, name := range names {
			sources[name] = "select 1"
		}
		if _, err := readFiles(source(sources)); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%v: %v, want %q", names, err, problem)
		}
	}
	if files, err := embeddedFiles(); err != nil || len(files) == 0 {
		t.Errorf("the embedded files: %d, %v", len(files), err)
	}
}

func TestUpOnceInOrder(t *testing.T) {
	t.Parallel()
	url, _ := database(t)
	files, err := embeddedFiles()
	if err != nil {
		t.Fatal(err)
	}
	states, err := Status(t.Context(), url)
	if err != nil || len(states) != len(files) || !states[0].Applied.IsZero() {
		t.Errorf("status of an empty database: %+v, %v", states, err)
	}
	var mu sync.Mutex
	var applied []string
	var processes sync.WaitGroup
	for range 4 {
		processes.Go(func() {
			names, err := Up(t.Context(), url)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, names...)
		})
	}
	processes.Wait()
	if len(applied) != len(files) {
		t.Errorf("four at once applied %v", applied)
	}
	states, err = Status(t.Context(), url)
	if err != nil || len(states) != len(files) || time.Since(states[0].Applied) > time.Minute || states[0].Name != files[0].name {
		t.Errorf("status: %+v, %v", states, err)
	}
}

func TestAFailingFileLeavesNothing(t *testing.T) {
	t.Parallel()
	url, exec := database(t)
	sources := map[string]string{"001_a.sql": "create table a (x int); create table b (x int)", "002_b.sql": "create table c (x int); select 1/0"}
	applied, err := up(t.Context(), url, read(t, sources))
	if len(applied) != 1 || err == nil || !strings.Contains(err.Error(), "002_b.sql") {
		t.Fatalf("applied %v, %v", applied, err)
	}
	if err := exec("select * from a, b"); err != nil {
		t.Errorf("the good file: %v", err)
	}
	if err := exec("select * from c"); err == nil {
		t.Error("half of the bad file is there")
	}
	sources["002_b.sql"] = "create table c (x int)"
	if applied, err := up(t.Context(), url, read(t, sources)); len(applied) != 1 || err != nil {
		t.Errorf("mended: %v, %v", applied, err)
	}
}

func TestOtherThanWhatWasApplied(t *testing.T) {
	t.Parallel()
	url, exec := database(t)
	original := map[string]string{"001_a.sql": "select 1", "002_b.sql": "select 2"}
	if _, err := up(t.Context(), url, read(t, original)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		sources map[string]string
		want    error
		word    string
	}{
		"older program": {map[string]string{"001_a.sql": "select 1"}, ErrNewer, "002_b.sql"},
		"edited":        {map[string]string{"001_a.sql": "select 1 ", "002_b.sql": "select 2"}, ErrChanged, "001_a.sql"},
		"renamed":       {map[string]string{"001_a.sql": "select 1", "002_c.sql": "select 2"}, ErrChanged, "002_b.sql"},
	} {
		files := read(t, c.sources)
		if _, err := up(t.Context(), url, files); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: up: %v", name, err)
		}
		if states, err := status(t.Context(), url, files); !errors.Is(err, c.want) || len(states) != 2 {
			t.Errorf("%s: status: %+v, %v", name, states, err)
		}
	}
	if err := exec("delete from cupline_migrations where number = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := up(t.Context(), url, read(t, original)); !errors.Is(err, ErrChanged) {
		t.Errorf("a version that is gone: %v", err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	if _, err := Up(t.Context(), "postgres://nobody:secret@127.0.0.1:1/none"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := Status(t.Context(), "postgres://%zz:secret@"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("no URL: %v", err)
	}
	server := postgrestest.New(t, nil)
	admin, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	name := server.Name() + "_latin1"
	if _, err := admin.Exec(t.Context(), "create database "+name+" encoding 'LATIN1' locale 'C' template template0"); err != nil {
		t.Fatal(err)
	}
	_, err = Up(t.Context(), strings.Replace(server.URL(), server.Name(), name, 1))
	if !errors.Is(err, ErrEncoding) {
		t.Errorf("a database that does not hold every text: %v", err)
	}
	if _, err := admin.Exec(t.Context(), "drop database "+name); err != nil {
		t.Fatal(err)
	}
}

func TestRulesOfTheSchema(t *testing.T) {
	t.Parallel()
	url, exec := database(t)
	if _, err := Up(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := exec(`insert into audit_trail (tenant, at, stage, action, actor, reason, client, device, method, lane, detail)
		values ('t', now(), '', '', '', '', '', '', '', '', '')`); err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{"update audit_trail set detail = 'x'", "delete from audit_trail", "truncate audit_trail"} {
		if err := exec(change); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", change, err)
		}
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	// Every table leads with tenant, in its primary key too, but the platform's own.
	rows, err := conn.Query(t.Context(), `select c.relname::text from pg_class c
		join pg_index i on i.indrelid = c.oid and i.indisprimary
		join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
		where c.relnamespace = 'public'::regnamespace and c.relname not in ('lanes', 'lane_drains', 'ledger_watch', 'cupline_migrations') and a.attname <> 'tenant'`)
	if err != nil {
		t.Fatal(err)
	}
	if stray, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(stray) > 0 {
		t.Errorf("tables that do not lead with tenant: %v, %v", stray, err)
	}
}

// Numbers may have gaps, but what comes later must have a higher one than all that was applied.
func TestALateFileIsRefused(t *testing.T) {
	t.Parallel()
	url, _ := database(t)
	sources := map[string]string{"001_a.sql": "select 1", "003_c.sql": "select 1"}
	if applied, err := up(t.Context(), url, read(t, sources)); len(applied) != 2 || err != nil {
		t.Fatalf("with a gap: %v, %v", applied, err)
	}
	sources["004_d.sql"] = "select 1"
	if applied, err := up(t.Context(), url, read(t, sources)); len(applied) != 1 || err != nil {
		t.Fatalf("after a gap: %v, %v", applied, err)
	}
	sources["002_b.sql"] = "select 1"
	if applied, err := up(t.Context(), url, read(t, sources)); len(applied) != 0 || !errors.Is(err, ErrChanged) {
		t.Errorf("a late file: %v, %v", applied, err)
	}
}
