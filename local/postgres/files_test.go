package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	durable := settings(Config{}, 1001, layoutOf("/w"))
	for _, want := range []string{"listen_addresses = '127.0.0.1'", "port = 1001", "max_connections = 200",
		"unix_socket_directories = '/w'", "password_encryption = 'scram-sha-256'"} {
		if !slices.Contains(durable, want) {
			t.Errorf("no line %q in\n%s", want, strings.Join(durable, "\n"))
		}
	}
	if slices.Contains(durable, "fsync = off") {
		t.Error("durability is off by default")
	}
	quick := settings(Config{NoSync: true, Settings: []string{"port = 7"}}, 1001, layoutOf("/w"))
	if !slices.Contains(quick, "fsync = off") {
		t.Error("NoSync leaves fsync on")
	}
	if slices.ContainsFunc(quick, func(line string) bool { return strings.HasPrefix(line, "synchronous_commit") }) {
		t.Error("NoSync changes what a commit means")
	}
	if quick[len(quick)-1] != "port = 7" {
		t.Error("the caller's own lines do not come last")
	}
}

func TestSocketFolderKeepsTheLimit(t *testing.T) {
	if got := socketFolder("/w", 20000); got != "/w" {
		t.Errorf("a short path: %q", got)
	}
	for length := range 120 {
		folder := "/" + strings.Repeat("x", length)
		socket := filepath.Join(folder, ".s.PGSQL.29999.lock")
		if got := socketFolder(folder, 29999); got != "" && len(socket) > longestSocket {
			t.Fatalf("%d bytes of socket path were let pass", len(socket))
		}
	}
	if got := socketFolder("/"+strings.Repeat("x", 120), 20000); got != "" {
		t.Errorf("a long path: %q", got)
	}
}

func TestQuote(t *testing.T) {
	if got := quote("it's"); got != "'it''s'" {
		t.Errorf("quote = %s", got)
	}
}

func TestTakesConnections(t *testing.T) {
	data := t.TempDir()
	for content, want := range map[string]bool{"": false, "1\n/d\n2\n3\n\n127.0.0.1\n 4 5\nstarting\n": false,
		"1\n/d\n2\n3\n\n127.0.0.1\n 4 5\nready   \n": true} {
		if err := os.WriteFile(filepath.Join(data, postmasterFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := takesConnections(data); (err == nil) != want {
			t.Errorf("%q: %v", content, err)
		}
	}
	if err := takesConnections(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}

func TestClearStale(t *testing.T) {
	data, elsewhere := t.TempDir(), t.TempDir()
	if err := clearStale(data); err != nil {
		t.Errorf("with no file: %v", err)
	}
	for folder, refused := range map[string]bool{elsewhere: false, data: true} {
		other := exec.CommandContext(t.Context(), "/bin/sleep", "100")
		other.Dir = folder
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(data, postmasterFile)
		if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", other.Process.Pid), 0o600); err != nil {
			t.Fatal(err)
		}
		err := clearStale(data)
		if (err != nil) != refused {
			t.Errorf("a process in %s: %v", folder, err)
		}
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) == refused {
			t.Errorf("a process in %s: the file: %v", folder, err)
		}
		if err := other.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = other.Wait() // killed
	}
}

func TestConfigComplete(t *testing.T) {
	for name, wrong := range map[string]Config{"no base": {}, "a path": {Base: "/b", Name: "a/b"},
		"hidden": {Base: "/b", Name: ".x"}} {
		if _, err := wrong.complete(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
