package livetest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/cli/internal/exit"
	"github.com/cupline/cupline/schema/topology"
)

func TestMigrateBringsAnEmptyDatabaseUp(t *testing.T) {
	t.Parallel()
	s := shell{"DATABASE_URL": postgrestest.New(t, nil).URL()}
	out, errs, code := s.run(t, "migrate", "status")
	if code != exit.OK || !strings.Contains(out, "missing") {
		t.Fatalf("status ends with %d: %s%s", code, out, errs)
	}
	if out, errs, code = s.run(t, "migrate", "up"); code != exit.OK || !strings.HasPrefix(out, "applied 001_") {
		t.Fatalf("up ends with %d: %s%s", code, out, errs)
	}
	if out, _, code = s.run(t, "migrate", "up"); code != exit.OK || !strings.HasPrefix(out, "nothing to apply") {
		t.Errorf("up again ends with %d: %s", code, out)
	}
	if out, _, code = s.run(t, "migrate", "up", "-o", "json"); code != exit.OK || out != `{"applied":[]}`+"\n" {
		t.Errorf("up again ends with %d: %s", code, out)
	}
	if out, _, code = s.run(t, "migrate", "status", "-o", "json"); code != exit.OK || !strings.Contains(out, `"applied_at":"2`) {
		t.Errorf("status ends with %d: %s", code, out)
	}
}

// TestAnOlderProgramOnANewerDatabase is what a rollback of the programs leaves: refused, unless it is said that this is meant.
func TestAnOlderProgramOnANewerDatabase(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	s := shell{"DATABASE_URL": db.URL()}
	if out, errs, code := s.run(t, "migrate", "up"); code != exit.OK {
		t.Fatalf("migrate ends with %d: %s%s", code, out, errs)
	}
	if _, err := db.Pool(t).Exec(t.Context(), "insert into cupline_migrations (number, name, checksum) values (999, '999_later.sql', 'x')"); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"up", "status"} {
		if out, errs, code := s.run(t, "migrate", command); code != exit.Failed || !strings.Contains(errs, "999_later.sql") {
			t.Errorf("%s ends with %d: %s%s", command, code, out, errs)
		}
		if out, errs, code := s.run(t, "migrate", command, "--allow-newer"); code != exit.OK || !strings.Contains(errs, "999_later.sql") {
			t.Errorf("%s --allow-newer ends with %d: %s%s", command, code, out, errs)
		}
	}
	if out, errs, _ := s.run(t, "doctor"); !strings.Contains(out, "warning  migrations        the database is newer") {
		t.Errorf("doctor prints %s%s", out, errs)
	}
	if _, err := db.Pool(t).Exec(t.Context(), "update cupline_migrations set checksum = 'x' where number = 1"); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := s.run(t, "migrate", "up", "--allow-newer"); code != exit.Failed {
		t.Errorf("with another first migration: %d: %s%s", code, out, errs)
	}
}

// migrated is a shell with a database that is up to date.
func migrated(t *testing.T) shell {
	t.Helper()
	s := shell{"DATABASE_URL": postgrestest.New(t, nil).URL()}
	if out, errs, code := s.run(t, "migrate", "up"); code != exit.OK {
		t.Fatalf("migrate ends with %d: %s%s", code, out, errs)
	}
	return s
}

func TestLanesShapeTheTopology(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	out, errs, code := s.run(t, "lanes", "put", "slow", "--max-ttl", "2h", "--max-length", "500", "--tenants", "acme,beta")
	if code != exit.OK || !strings.Contains(out, "slow  2h0m0s   500         on      acme,beta") {
		t.Fatalf("put ends with %d: %s%s", code, out, errs)
	}
	if out, _, code = s.run(t, "lanes", "list"); code != exit.OK || !strings.Contains(out, "default") || !strings.Contains(out, "slow") {
		t.Errorf("list ends with %d: %s", code, out)
	}
	if out, _, code = s.run(t, "lanes", "list", "-o", "json"); code != exit.OK ||
		!strings.Contains(out, `{"lane":"slow","max_ttl":"2h0m0s","max_length":500,"ledger":true,"tenants":["acme","beta"]}`) {
		t.Errorf("list ends with %d: %s", code, out)
	}
	out, _, code = s.run(t, "topology", "print", "-o", "json")
	var printed struct {
		Queues []struct {
			Name      string
			Arguments map[string]any
		}
	}
	if err := json.Unmarshal([]byte(out), &printed); err != nil || code != exit.OK {
		t.Fatalf("print ends with %d: %s", code, out)
	}
	found := false
	for _, q := range printed.Queues {
		if q.Name == topology.WorkQueue("slow") {
			found = q.Arguments["x-message-ttl"] == float64(7200000) && q.Arguments["x-max-length"] == float64(500)
		}
	}
	if !found {
		t.Errorf("the topology printed is %s", out)
	}
	b := brokertest.New(t)
	s["AMQP_URL"], s["RABBITMQ_MANAGEMENT_URL"] = b.URL(), b.ManagementURL()
	s.check(t, exit.OK, "topology", "apply")
	if !b.QueueExists(t, topology.WorkQueue("slow")) {
		t.Error("apply did not make the lane's queue")
	}
	if _, errs, code = s.run(t, "lanes", "delete", "slow"); code != exit.OK {
		t.Errorf("delete ends with %d: %s", code, errs)
	}
	// The queue of a lane that is gone still takes copies of what no lane should.
	if r := s.check(t, exit.Different, "topology", "check"); len(r.Differences) != 1 || r.Differences[0].Kind != "foreign" {
		t.Errorf("check finds %+v", r)
	}
	if _, errs, code = s.run(t, "lanes", "delete", "default"); code != exit.Failed || !strings.Contains(errs, "default lane") {
		t.Errorf("deleting the default lane ends with %d: %s", code, errs)
	}
}
