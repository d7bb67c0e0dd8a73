package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/health"
	"github.com/cupline/cupline/store/registry"
)

const (
	// databaseLimit bounds all questions to the database.
	databaseLimit = 20 * time.Second
	// spare is how many connections of the database have to be left.
	spare = 5
)

// known is what the database tells that the broker is held against.
type known struct {
	lanes   []topology.Lane
	longest health.Slowest
	asked   bool // of the database itself; otherwise these are what holds by default
}

// database examines the database.
func (p *patient) database(ctx context.Context) (known, error) {
	k := known{lanes: []topology.Lane{topology.DefaultLane()}}
	url := p.console.Getenv(connect.DatabaseURL)
	if url == "" {
		p.unknown(Database, "not looked at: "+connect.DatabaseURL+" is not set", "set it, and look again")
		return k, nil
	}
	ctx, cancel := context.WithTimeout(ctx, databaseLimit)
	defer cancel()
	pool, err := connect.Database(ctx, p.console)
	if err != nil {
		return k, err
	}
	defer pool.Close()
	writes := pool.Ready(ctx)
	if writes != nil {
		p.bad(Database, "", writes.Error(), "start it, or see which server "+connect.DatabaseURL+" leads to; for a read-only one: default_transaction_read_only, or it is a standby")
	}
	// One that takes no writes may answer all the same, and tell why: no standby that all wait for.
	server, err := health.Look(ctx, pool)
	if writes != nil && err != nil {
		return k, nil
	}
	if err != nil {
		p.bad(Database, "", err.Error(), "look into the server's log")
		return k, nil
	}
	p.server(server)
	if writes != nil {
		return k, nil
	}
	if !p.migrations(ctx, url) {
		return k, nil // the tables may not be there
	}
	p.offset, _, err = health.Offset(ctx, pool, p.now)
	p.dated = err == nil
	if p.offset.Abs() > p.skew {
		p.skewed("this machine", -p.offset)
	}
	if err == nil {
		k.lanes, err = registry.New(pool).Lanes(ctx)
	}
	if err == nil {
		k.longest, err = health.LongestMethod(ctx, pool)
	}
	if err != nil {
		p.bad(Database, "", err.Error(), "look into the server's log")
		return known{lanes: []topology.Lane{topology.DefaultLane()}}, nil
	}
	k.asked = true
	p.fine(Database, "PostgreSQL %s takes writes; %d of %d connections are in use", server.Version, server.Connections, server.MaxConnections)
	return k, nil
}

// server examines how the database server is set up.
func (p *patient) server(s health.Server) {
	if left := s.MaxConnections - s.Connections; left < spare {
		p.warn(Database, "max_connections", fmt.Sprintf("%d of %d connections are in use", s.Connections, s.MaxConnections),
			"raise max_connections, lower CUPLINE_DATABASE_CONNECTIONS, or run fewer processes")
	}
	if s.Encoding != "UTF8" {
		p.bad(Encoding, "", "the database's encoding is "+s.Encoding+": names and texts in other scripts are refused",
			"make a database with ENCODING 'UTF8' TEMPLATE template0, and move over with pg_dump and pg_restore")
	}
	p.fine(Encoding, "%s", s.Encoding)
	if !s.Fsync {
		p.bad(Durability, "fsync", "off: a crash of the machine can lose what was committed, and break the database",
			"ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()")
	}
	if !s.FullPageWrites {
		p.bad(Durability, "full_page_writes", "off: a crash in the middle of a write can break a page",
			"ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf()")
	}
	if s.SynchronousCommit == "off" {
		p.bad(Durability, "synchronous_commit", "off: a crash forgets the last commits, so a command that was started may be started again",
			"ALTER SYSTEM SET synchronous_commit = on (or ALTER ROLE ... RESET synchronous_commit); SELECT pg_reload_conf()")
	}
	p.fine(Durability, "what is committed is on disk")
	p.replicas(s)
}

func (p *patient) replicas(s health.Server) {
	const remedy = "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (name, name)' with the standbys' application_name; SELECT pg_reload_conf()"
	names := ""
	synchronous := 0
	for _, r := range s.Replicas {
		if names += ", " + r.Name; r.Sync == "sync" || r.Sync == "quorum" {
			synchronous++
		}
	}
	switch {
	case len(s.Replicas) > 0 && s.SynchronousStandbys == "":
		p.bad(Replication, "synchronous_standby_names", "empty, and there are replicas ("+names[2:]+
			"): a failover can forget what was started, and start it again", remedy)
	case len(s.Replicas) > 0 && s.SynchronousCommit == "local":
		p.bad(Replication, "synchronous_commit", "local: no commit waits for a replica", "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf()")
	case s.SynchronousStandbys != "" && synchronous == 0:
		p.bad(Replication, "synchronous_standby_names", fmt.Sprintf("%q, and none of these is connected: every commit waits", s.SynchronousStandbys),
			"start the standby, or name one that is there")
	case s.SynchronousStandbys == "":
		p.fine(Replication, "no replica is connected")
	default:
		p.fine(Replication, "commits wait for %s", s.SynchronousStandbys)
	}
}

// migrations tells whether the schema is this program's.
func (p *patient) migrations(ctx context.Context, url string) bool {
	states, err := migrations.Status(ctx, url)
	switch {
	case errors.Is(err, migrations.ErrNewer):
		// No problem where the programs were rolled back: a schema works with those of the release before.
		p.warn(Migrations, "", err.Error(), "use the release of this program that the services have; after a rollback it is theirs")
		return true // tables are added before they are needed, and so are there
	case errors.Is(err, migrations.ErrChanged):
		p.bad(Migrations, "", err.Error(), "find out who changed the schema or the program; restore the one that was released")
		return false
	case err != nil:
		p.bad(Migrations, "", err.Error(), "look into the database server's log")
		return false
	}
	missing := 0
	for _, s := range states {
		if s.Applied.IsZero() {
			missing++
			p.bad(Migrations, s.Name, "not applied", "cupline migrate up, before new services start")
		}
	}
	p.fine(Migrations, "%d applied, none missing", len(states))
	return missing == 0
}
