// Package postgrestest gives each test a database of its own on a real Postgres, and the
// means to break the way to it. It is for tests only.
package postgrestest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/chassis/postgres"
)

// limit bounds every single thing that a helper waits for. Copies of a template wait for each other, and for the disk.
const limit = 2 * time.Minute

// Migrate fills an empty database; url has the rights of its owner.
type Migrate = func(ctx context.Context, url string) error

// Database is one database, dropped when the test ends.
type Database struct {
	server *url.URL
	url    *url.URL
	name   string
}

// New makes a database for the test: a copy of one that migrate filled, which is made once
// in this process; nil makes an empty one. It fails the test when CUPLINE_TEST_DATABASE_URL
// is unset.
func New(t testing.TB, migrate Migrate) *Database {
	t.Helper()
	server := setting(t)
	template := "template0"
	if migrate != nil {
		template = templates.get(t, server, migrate)
	}
	d := &Database{server: server, name: "test_" + strings.ToLower(rand.Text()[:16])}
	at := *server
	at.Path = "/" + d.name
	d.url = &at
	run(t, server, fmt.Sprintf("create database %s template %s", quote(d.name), quote(template)))
	t.Cleanup(func() { run(t, server, fmt.Sprintf("drop database if exists %s with (force)", quote(d.name))) })
	return d
}

func setting(t testing.TB) *url.URL {
	t.Helper()
	const name = "CUPLINE_TEST_DATABASE_URL"
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: this test needs Postgres; run `make test`, or `go run ./local/cmd/testbed -- go test ...`", name)
	}
	u, err := url.Parse(value)
	if err != nil {
		t.Fatalf("%s is not a URL", name) // the parser's words may show a password
	}
	return u
}

// URL of the database, postgres://, as its owner unless it came from As.
func (d *Database) URL() string { return d.url.String() }

// Name of the database.
func (d *Database) Name() string { return d.name }

// Pool of 4 connections, closed when the test ends.
func (d *Database) Pool(t testing.TB) *postgres.Pool {
	t.Helper()
	return Open(t, postgres.Config{URL: d.URL(), MaxConns: 4, ApplicationName: "postgrestest"})
}

// Open opens a pool that is closed when the test ends.
func Open(t testing.TB, cfg postgres.Config) *postgres.Pool {
	t.Helper()
	pool, err := postgres.Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("open a pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Proxy is a way to the server that can be cut, stalled and healed; ProxyURL leads through
// it. Its LoseAnswer("commit") makes a COMMIT whose answer is lost.
func (d *Database) Proxy(t testing.TB) *linktest.Proxy {
	t.Helper()
	port := d.url.Port()
	if port == "" {
		port = "5432"
	}
	return linktest.New(t, net.JoinHostPort(d.url.Hostname(), port))
}

// ProxyURL is URL with the proxy's address.
func (d *Database) ProxyURL(p *linktest.Proxy) string {
	through := *d.url
	through.Host = p.Addr()
	return through.String()
}

// Cut makes the server end every connection of that application name to this database. It
// returns how many there were.
func (d *Database) Cut(t testing.TB, applicationName string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	connection := connect(ctx, t, d.server)
	defer func() { _ = connection.Close(ctx) }()
	var cut int
	const end = `select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1 and application_name = $2`
	if err := connection.QueryRow(ctx, end, d.name, applicationName).Scan(&cut); err != nil {
		t.Fatalf("cut the connections of %s: %v", applicationName, err)
	}
	return cut
}

func connect(ctx context.Context, t testing.TB, server *url.URL) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(ctx, server.String())
	if err != nil {
		t.Fatalf("connect to Postgres: %v", err)
	}
	return connection
}

func run(t testing.TB, server *url.URL, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	connection := connect(ctx, t, server)
	defer func() { _ = connection.Close(ctx) }()
	if _, err := connection.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// As is the same database for a user of its own, who is a member of these roles. The user is gone when the
// test ends.
func (d *Database) As(t testing.TB, roles ...string) *Database {
	t.Helper()
	name, password := "user_"+strings.ToLower(rand.Text()[:16]), rand.Text()
	run(t, d.server, "create role "+quote(name)+" login password '"+password+"'")
	t.Cleanup(func() {
		// Whoever is still connected keeps it from being dropped.
		run(t, d.server, "select pg_terminate_backend(pid) from pg_stat_activity where usename = '"+name+"'")
		run(t, d.server, "drop role "+quote(name))
	})
	for _, role := range roles {
		run(t, d.server, "grant "+quote(role)+" to "+quote(name))
	}
	own := *d.url
	own.User = url.UserPassword(name, password)
	return &Database{server: d.server, url: &own, name: d.name}
}
