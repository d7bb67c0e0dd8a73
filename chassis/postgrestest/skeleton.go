// Package postgrestest gives each test a database of its own on a real Postgres.
package postgrestest

import (
	"context"
	"testing"

	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/chassis/postgres"
)

// Database is one database, dropped when the test ends.
type Database struct{}

// New makes a database from a template that migrate filled once in this process; nil makes
// an empty one. It fails the test when CUPLINE_TEST_DATABASE_URL is unset.
func New(t testing.TB, migrate func(ctx context.Context, url string) error) *Database { panic("soon") }

// URL of the database, postgres://.
func (d *Database) URL() string { panic("soon") }

// Pool is open until the test ends.
func (d *Database) Pool(t testing.TB) *postgres.Pool { panic("soon") }

// Proxy is a link to the server that can be cut; ProxyURL leads through it.
func (d *Database) Proxy(t testing.TB) *linktest.Proxy { panic("soon") }

// ProxyURL is URL with the proxy's address.
func (d *Database) ProxyURL(p *linktest.Proxy) string { panic("soon") }

// Cut ends every connection of that application name.
func (d *Database) Cut(t testing.TB, applicationName string) { panic("soon") }
