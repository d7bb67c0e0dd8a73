package livetest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cupline/cupline/local/place"
	"github.com/cupline/cupline/local/postgres"
)

// database starts one and discards it when the test ends.
func database(t *testing.T, config postgres.Config) *postgres.Instance {
	t.Helper()
	t.Cleanup(func() {
		if err := postgres.Discard(bounded(t), config); err != nil {
			t.Error(err)
		}
	})
	instance, err := postgres.Start(bounded(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := instance.Kill(); err != nil {
			t.Error(err)
		}
	})
	return instance
}

// wantAnswer runs SQL and compares what it answers.
func wantAnswer(t *testing.T, instance *postgres.Instance, sql, want string) {
	t.Helper()
	if got, err := query(t, instance.URL(), sql); err != nil || got != want {
		t.Errorf("%s: %q, %v; want %q", sql, got, err, want)
	}
}

func TestDatabaseKeepsItsDataAndPort(t *testing.T) {
	t.Parallel()
	config := postgres.Config{Base: filepath.Join(openFolder(t), ".run")}
	instance := database(t, config)
	wantLoopback(t, 1, filepath.Join(config.Base, "postgres", "postgres.pid"))
	wantAnswer(t, instance, "SELECT current_user, current_database()", "cupline|cupline")
	wantAnswer(t, instance, "SELECT usesuper FROM pg_user WHERE usename = current_user", "t")
	wantAnswer(t, instance, "SHOW max_connections", "200")
	wantAnswer(t, instance, "SHOW fsync", "on")
	wantAnswer(t, instance, "SHOW server_encoding", "UTF8")
	if answer, err := query(t, strings.Replace(instance.URL(), "cupline:", "cupline:wrong", 1), "SELECT 1"); err == nil {
		t.Errorf("a wrong password lets in: %s", answer)
	}
	wantAnswer(t, instance, "CREATE TABLE kept AS SELECT 1 AS n", "")
	if _, err := postgres.Start(bounded(t), config); !errors.Is(err, place.ErrLocked) {
		t.Errorf("a second Start in the folder: %v, want ErrLocked", err)
	}
	where := instance.URL()

	if err := instance.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := query(t, where, "SELECT 1"); err == nil || instance.Running() {
		t.Error("after Stop, it still answers")
	}
	if err := instance.Start(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if instance.URL() != where {
		t.Error("started again, it is reached at another address")
	}
	wantAnswer(t, instance, "INSERT INTO kept VALUES (2)", "")
	if err := instance.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := instance.Start(bounded(t)); err != nil {
		t.Fatalf("recover from a kill: %v", err)
	}
	wantAnswer(t, instance, "SELECT sum(n) FROM kept", "3")
}

// A run that ended without stopping its server, as one does that is killed: the next one in the folder takes over.
func TestDatabaseOfAnEarlierRun(t *testing.T) {
	t.Parallel()
	config := postgres.Config{Base: openFolder(t), NoSync: true}
	t.Cleanup(func() {
		if err := postgres.Discard(bounded(t), config); err != nil {
			t.Error(err)
		}
	})
	earlier := exec.CommandContext(bounded(t), os.Args[0])
	earlier.Env = append(os.Environ(), leaveVariable+"="+config.Base)
	if output, err := earlier.CombinedOutput(); err != nil {
		t.Fatalf("the earlier run: %v\n%s", err, output)
	}
	left, err := postgres.Open(config)
	if err != nil || !left.Running() {
		t.Fatalf("Open of what the earlier run left: %v", err)
	}
	wantAnswer(t, left, "CREATE TABLE kept AS SELECT 1 AS n", "")
	wantAnswer(t, left, "SHOW fsync", "off")
	wantAnswer(t, left, "SHOW synchronous_commit", "on")

	instance := database(t, config)
	if instance.URL() != left.URL() {
		t.Error("it is reached at another address")
	}
	wantAnswer(t, instance, "SELECT n FROM kept", "1")
	if err := instance.Stop(bounded(t)); err != nil {
		t.Error(err)
	}
}

// A folder that the server's own user cannot enter: its files go elsewhere, and are found and deleted there.
func TestDatabaseBelowAClosedFolder(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	config := postgres.Config{Base: filepath.Join(closed, ".run"), NoSync: true}
	instance := database(t, config)
	wantAnswer(t, instance, "CREATE TABLE kept AS SELECT 1 AS n", "")
	if err := instance.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := instance.Start(bounded(t)); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, instance, "SELECT n FROM kept", "1")
	if err := instance.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	folder, err := place.Find(config.Base, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.HasPrefix(folder.Path, "/var/lib/cupline/")
	if wanted := os.Geteuid() == 0; elsewhere != wanted {
		t.Errorf("its files are in %s; elsewhere: %v, want %v", folder.Path, elsewhere, wanted)
	}
	if err := postgres.Discard(bounded(t), config); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("discarded, %s is still there: %v", folder.Path, err)
	}
}
