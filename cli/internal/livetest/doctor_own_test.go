package livetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/cli/internal/connect"
	"github.com/cupline/cupline/cli/internal/console"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/postgres"
	"github.com/cupline/cupline/local/rabbitmq"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// ownLimit bounds the start or the end of a server of the test's own.
const ownLimit = 5 * time.Minute

// ownBroker runs a node with settings of its own; folder keeps its data from one run to the next.
func ownBroker(t *testing.T, folder string, settings ...string) *rabbitmq.Instance {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ownLimit)
	defer cancel()
	node, err := rabbitmq.Start(ctx, rabbitmq.Config{Base: folder, Plugins: []string{"rabbitmq_management"}, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing, unless the test ended early
		if err := node.Kill(); err != nil {
			t.Error(err)
		}
	})
	return node
}

func stop(t *testing.T, server interface{ Stop(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), ownLimit)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// folder is a short one, for the length of the sockets' paths in it.
func folder(t *testing.T) string {
	t.Helper()
	made, err := os.MkdirTemp("", "cupline-doctor-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), ownLimit)
		defer cancel()
		err := errors.Join(rabbitmq.Discard(ctx, rabbitmq.Config{Base: made}), postgres.Discard(ctx, postgres.Config{Base: made}), os.RemoveAll(made))
		if err != nil {
			t.Error(err)
		}
	})
	return made
}

// TestDoctorFindsWhatABrokerSuffersFrom: a consumer timeout that is too short and dead letters that
// have no way; after a restart that mends these, alarms of memory and disk; after another, nothing.
func TestDoctorFindsWhatABrokerSuffersFrom(t *testing.T) {
	t.Parallel()
	s, base := migrated(t), folder(t)
	node := ownBroker(t, base, "consumer_timeout = 15000")
	s["AMQP_URL"], s["RABBITMQ_MANAGEMENT_URL"] = node.URL(), node.ManagementURL()
	s.check(t, exit.OK, "topology", "apply")
	s.until(t, "alarms", "ok", "none")
	s.until(t, "dead letters", "ok", "")
	s.until(t, "consumer timeout", "problem", "15s by /") // the file's path
	if d := s.doctor(t, "--consumer-timeout", "45s"); !d.says("consumer timeout", "ok", "45s by --consumer-timeout") {
		t.Errorf("told another consumer timeout doctor says %+v", d.Findings)
	}
	strand(t, node.URL())
	s.until(t, "dead letters", "problem", "cupline.work.default: 1 dead letters wait in the broker")
	s.check(t, exit.OK, "topology", "apply")
	stop(t, node)

	node = ownBroker(t, base, "disk_free_limit.absolute = 900000GB", "vm_memory_high_watermark.relative = 0.001")
	s.until(t, "alarms", "problem", "disk: ")
	s.until(t, "alarms", "problem", "memory: ")
	s.until(t, "dead letters", "ok", "") // the broker tries again when it starts, else every three minutes
	s.until(t, "consumer timeout", "ok", "30m0s by default;")
	stop(t, node)

	node = ownBroker(t, base)
	s.until(t, "alarms", "ok", "none")
	s.until(t, "cluster", "ok", "")
	member := fmt.Sprintf("ra stop_server [quorum_queues,{'%%2F_%s','%s'}]", topology.DeadQueue, node.Node())
	if err := node.Apply(t.Context(), member); err != nil {
		t.Fatal(err)
	}
	s.until(t, "cluster", "problem", topology.DeadQueue+": 0 of 1 members are online: it stands still")
	stop(t, node)
	if d := s.doctor(t); !d.says("broker", "problem", "management: ") {
		t.Errorf("without a broker doctor says %+v", d.Findings)
	}
}

// strand lets a command expire while dead letters have no route.
func strand(t *testing.T, url string) {
	t.Helper()
	link, err := connect.Link(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	publisher := broker.NewPublisher(link, broker.PublisherConfig{Name: "strand"})
	err = link.Do(t.Context(), unbind(topology.Binding{Source: topology.DeadExchange, Key: "#", Destination: topology.DeadQueue}))
	if err != nil {
		t.Error(err)
	}
	brokertest.Eventually(t, "a command is published", func() bool {
		return publisher.Publish(t.Context(), message.Message{
			Exchange: topology.CommandsExchange, Key: "default.acme.lamp-1", Mandatory: true, Body: []byte("{}"), Expiration: time.Millisecond,
		}) == nil
	})
	if err := link.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// TestDoctorFindsWhatADatabaseServerLacks: no fsync, few connections, a replica that no commit waits
// for, one that all wait for and that is not there; then nothing.
func TestDoctorFindsWhatADatabaseServerLacks(t *testing.T) {
	t.Parallel()
	base := folder(t)
	access := filepath.Join(base, "access.conf")
	rules := "local all all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n"
	if err := errors.Join(os.Chmod(base, 0o755), os.WriteFile(access, []byte(rules), 0o644)); err != nil { //nolint:gosec // the server is another user
		t.Fatal(err)
	}
	start := func(config postgres.Config) (*postgres.Instance, shell) {
		ctx, cancel := context.WithTimeout(t.Context(), ownLimit)
		defer cancel()
		config.Base = base
		config.Settings = append(config.Settings, "hba_file = '"+access+"'")
		server, err := postgres.Start(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // nothing, unless the test ended early
			if err := server.Kill(); err != nil {
				t.Error(err)
			}
		})
		s := shell{"DATABASE_URL": server.URL()}
		if out, errs, code := s.run(t, "migrate", "up"); code != exit.OK {
			t.Fatalf("migrate ends with %d: %s%s", code, out, errs)
		}
		return server, s
	}
	server, s := start(postgres.Config{NoSync: true, Settings: []string{"max_connections = 5", "superuser_reserved_connections = 0", "max_wal_senders = 1"}})
	d := s.doctor(t)
	if !d.says("durability", "problem", "fsync: off") || !d.says("durability", "problem", "full_page_writes: off") || !d.says("database", "warning", "max_connections: ") {
		t.Errorf("of a hasty server doctor says %+v", d.Findings)
	}
	stop(t, server)
	if d := s.doctor(t); !d.says("database", "problem", "not available") {
		t.Errorf("of a server that is away doctor says %+v", d.Findings)
	}

	server, s = start(postgres.Config{})
	defer func() { stop(t, server) }()
	for _, check := range []string{"database", "migrations", "encoding", "durability", "replication"} {
		if d := s.doctor(t); !d.says(check, "ok", "") {
			t.Errorf("of a good server doctor says %+v", d.Findings)
		}
	}
	end := replicate(t, server.URL(), filepath.Join(base, "replica"))
	s.until(t, "replication", "problem", "synchronous_standby_names: empty, and there are replicas (replica)")
	setting(t, server.URL(), "alter system set synchronous_standby_names = 'replica'")
	s.until(t, "replication", "ok", "commits wait for replica")
	end()
	s.until(t, "replication", "problem", `"replica", and none of these is connected`)
	setting(t, server.URL(), "alter system reset synchronous_standby_names")
	s.until(t, "replication", "ok", "no replica is connected")
}

// replicate lets a program of Postgres's own take the write-ahead log as a standby does.
func replicate(t *testing.T, url, into string) (end func()) {
	t.Helper()
	found, err := packages.FindPostgres()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(into, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	replica := exec.CommandContext(ctx, filepath.Join(found.Bin, "pg_receivewal"), "--synchronous", "--no-password", "-D", into,
		"-d", strings.Replace(url, "?", "?application_name=replica&", 1))
	if err := replica.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		cancel()
		_ = replica.Wait() // it was killed
	}
}

// setting changes the server's settings; none of it waits for a standby.
func setting(t *testing.T, url string, statements ...string) {
	t.Helper()
	pool, err := connect.Database(t.Context(), &console.Console{Getenv: func(string) string { return url }})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, statement := range append(statements, "select pg_reload_conf()") {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func TestDoctorFindsWhatADatabaseLacks(t *testing.T) {
	t.Parallel()
	d := postgrestest.New(t, nil)
	s := shell{"DATABASE_URL": d.URL()}
	if d := s.doctor(t); !d.says("migrations", "problem", "001_foundation.sql: not applied") {
		t.Errorf("of an empty database doctor says %+v", d.Findings)
	}
	if out, errs, code := s.run(t, "migrate", "up"); code != exit.OK {
		t.Fatalf("migrate ends with %d: %s%s", code, out, errs)
	}
	pool := d.Pool(t)
	for _, c := range []struct{ broken, check, says, mended string }{
		{"alter database " + d.Name() + " set synchronous_commit = off", "durability", "synchronous_commit: off", "alter database " + d.Name() + " reset synchronous_commit"},
		{"alter database " + d.Name() + " set default_transaction_read_only = on", "database", "read", "alter database " + d.Name() + " reset default_transaction_read_only"},
	} {
		if _, err := pool.Exec(t.Context(), c.broken); err != nil {
			t.Fatal(err)
		}
		if d := s.doctor(t); !d.says(c.check, "problem", c.says) {
			t.Errorf("after %q doctor says %+v", c.broken, d.Findings)
		}
		if _, err := pool.Exec(t.Context(), c.mended); err != nil {
			t.Fatal(err)
		}
		if d := s.doctor(t); d.says(c.check, "problem", c.says) {
			t.Errorf("after %q doctor says %+v", c.mended, d.Findings)
		}
	}
	latin := d.Name() + "_ascii"
	if _, err := pool.Exec(t.Context(), "create database "+latin+" encoding 'SQL_ASCII' locale 'C' template template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := pool.Exec(context.WithoutCancel(t.Context()), "drop database "+latin+" with (force)"); err != nil {
			t.Error(err)
		}
	})
	if d := (shell{"DATABASE_URL": strings.Replace(d.URL(), d.Name(), latin, 1)}).doctor(t); !d.says("encoding", "problem", "SQL_ASCII") {
		t.Errorf("of another encoding doctor says %+v", d.Findings)
	}
	if d := s.doctor(t); !d.says("encoding", "ok", "UTF8") || !d.says("migrations", "ok", "none missing") {
		t.Errorf("of a good database doctor says %+v", d.Findings)
	}
}
