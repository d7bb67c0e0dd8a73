// Package health tells how a database is set up, as far as Cupline's promises hang on it: for
// those who check an installation.
package health

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/store"
)

// Server is how a database server is set up.
type Server struct {
	// Version as the server tells it, such as "15.14".
	Version string
	// Encoding of the database; anything but UTF8 cannot hold every text.
	Encoding string
	// Fsync off and FullPageWrites off mean that a crash of the machine can lose, or break, what was committed.
	Fsync, FullPageWrites bool
	// SynchronousCommit off means that the last commits before a crash are lost.
	SynchronousCommit string
	// SynchronousStandbys is synchronous_standby_names; empty when no commit waits for a replica.
	SynchronousStandbys string
	// Replicas that are connected. A role that is not superuser and not in pg_monitor sees their
	// names, and no state of them.
	Replicas []Replica
	// MaxConnections is what the server takes in all, and Connections what it has.
	MaxConnections, Connections int
}

// Replica is a standby that streams the write-ahead log; those that take rows (logical
// replication) are none.
type Replica struct {
	Name string
	// State is "streaming" once it has caught up, Sync "async", "sync", "quorum" or "potential".
	State, Sync string
}

// Look asks the server.
func Look(ctx context.Context, pool *postgres.Pool) (Server, error) {
	var s Server
	const settings = `select split_part(current_setting('server_version'), ' ', 1), pg_encoding_to_char(encoding),
		current_setting('fsync')::bool, current_setting('full_page_writes')::bool,
		current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
		current_setting('max_connections')::int, (select coalesce(sum(numbackends), 0)::int from pg_stat_database)
		from pg_database where datname = current_database()`
	err := pool.QueryRow(ctx, settings).Scan(&s.Version, &s.Encoding, &s.Fsync, &s.FullPageWrites,
		&s.SynchronousCommit, &s.SynchronousStandbys, &s.MaxConnections, &s.Connections)
	if err != nil {
		return s, store.Fault("read the server's settings", err)
	}
	const replicas = `select coalesce(application_name, ''), coalesce(state, ''), coalesce(sync_state, '') from pg_stat_replication
		where coalesce(state, '') not in ('startup', 'backup')
		and pid not in (select active_pid from pg_replication_slots where slot_type = 'logical' and active_pid is not null) order by 1`
	rows, err := pool.Query(ctx, replicas)
	if err == nil {
		s.Replicas, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Replica])
	}
	return s, store.Fault("list the replicas", err)
}

// Slowest is a method with its timeout.
type Slowest struct {
	Tenant, Type, Method string
	Timeout              time.Duration
}

// String names the method.
func (s Slowest) String() string {
	return fmt.Sprintf("%s of type %s of tenant %s (%s)", s.Method, s.Type, s.Tenant, s.Timeout)
}

// LongestMethod is the method that may take the longest, of all tenants. With no method that
// sets a timeout it is one without a name, with the default timeout.
func LongestMethod(ctx context.Context, pool *postgres.Pool) (Slowest, error) {
	longest := Slowest{Timeout: device.DefaultTimeout}
	rows, err := pool.Query(ctx, `select tenant, type, methods from device_types`)
	if err != nil {
		return longest, store.Fault("read the device types", err)
	}
	var found Slowest
	var described []byte
	_, err = pgx.ForEachRow(rows, []any{&found.Tenant, &found.Type, &described}, func() error {
		var methods map[string]device.Method
		if err := json.Unmarshal(described, &methods); err != nil {
			return fmt.Errorf("methods of device type %s: %w", found.Type, err)
		}
		for name, m := range methods {
			if timeout := time.Duration(m.Timeout); timeout > longest.Timeout {
				longest = Slowest{found.Tenant, found.Type, name, timeout}
			}
		}
		return nil
	})
	return longest, store.Fault("read the device types", err)
}

// Offset is the database's clock minus this machine's, wrong by at most half of the round
// trip that it returns.
func Offset(ctx context.Context, pool *postgres.Pool, now func() time.Time) (offset, trip time.Duration, err error) {
	connection, err := pool.Acquire(ctx)
	if err != nil {
		return 0, 0, store.Fault("ask the database for the time", err)
	}
	defer connection.Release()
	var there time.Time
	before := now()
	began := time.Now()
	if err := connection.QueryRow(ctx, "select clock_timestamp()").Scan(&there); err != nil {
		return 0, 0, store.Fault("ask the database for the time", err)
	}
	trip = time.Since(began)
	return there.Sub(before.Add(trip / 2).Round(0)), trip, nil
}
