// Package livetest holds the tests of package local that start real servers. None runs under -short.
package livetest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cupline/cupline/local/packages"
	"github.com/cupline/cupline/local/postgres"
)

// limit is more than starting a server takes on a busy machine.
const limit = 4 * time.Minute

// testbed is the program, built once.
var testbed string

// leaveVariable has the test program start a database in a folder and end without stopping it.
const leaveVariable = "CUPLINE_LIVETEST_LEAVE"

func TestMain(m *testing.M) {
	if base := os.Getenv(leaveVariable); base != "" {
		if _, err := postgres.Start(context.Background(), postgres.Config{Base: base, NoSync: true}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("ok: needs RabbitMQ and Postgres, not run under -short")
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "cupline-live-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	testbed = filepath.Join(folder, "testbed")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", testbed, "../cmd/testbed")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // it may be what installs a C compiler
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Printf("build testbed: %v\n%s", err, output)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

// openFolder is a fresh folder that other users can enter, unlike t.TempDir's.
func openFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "cupline-live-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// bounded is a context that ends before the test runs into its own limit.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls for what nothing signals; it is the only wait of its kind here.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	ctx := bounded(t)
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", limit, what)
		case <-ticker.C:
		}
	}
}

// query has psql run SQL and returns what it printed.
func query(t *testing.T, database, sql string) (string, error) {
	t.Helper()
	server, err := packages.FindPostgres()
	if err != nil {
		t.Fatal(err)
	}
	psql := exec.CommandContext(bounded(t), filepath.Join(server.Bin, "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql,
		database)
	answer, err := psql.CombinedOutput()
	return strings.TrimSpace(string(answer)), err
}

// ask calls the management API and decodes its answer, if any is wanted.
func ask(t *testing.T, method, address, path, body string, into any) int {
	t.Helper()
	// The path's %2F, the default virtual host, must stay as it is.
	target, err := url.Parse(address + path)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(bounded(t), method, target.String(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if password, known := target.User.Password(); known {
		request.SetBasicAuth(target.User.Username(), password)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil && response.StatusCode < 300 {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
	return response.StatusCode
}
