package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cupline/cupline/local/packages"
)

// serverFor finds the installed server for the folder's data, and makes the data when there is none.
func (i *Instance) serverFor(ctx context.Context, files layout) (packages.Postgres, error) {
	content, err := os.ReadFile(filepath.Join(files.data, "PG_VERSION"))
	if err == nil {
		major, err := strconv.Atoi(strings.TrimSpace(string(content)))
		if err != nil {
			return packages.Postgres{}, fmt.Errorf("read the version that made %s: %w", files.data, err)
		}
		return packages.FindPostgresMajor(major)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return packages.Postgres{}, fmt.Errorf("look at the server's data: %w", err)
	}
	server, err := packages.FindPostgres()
	if err != nil {
		return packages.Postgres{}, err
	}
	i.config.say("making a Postgres database cluster")
	return server, create(ctx, server, files, i.known.Get().Password, i.config, i.account)
}

// postmasterFile is the server's own pid file; its first line is the pid, its eighth tells how far it has come.
const postmasterFile = "postmaster.pid"

// takesConnections returns nil once the server says that it is ready.
func takesConnections(data string) error {
	const statusLine = 7
	content, err := os.ReadFile(filepath.Join(data, postmasterFile))
	if err != nil {
		return err
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) <= statusLine || strings.TrimSpace(lines[statusLine]) != "ready" {
		return errors.New("the server does not take connections yet")
	}
	return nil
}

// clearStale deletes the pid file of a server that was killed. Postgres would do so by itself, unless another program
// of the same user got the pid meanwhile. Our own servers are known to be gone here; another one that runs on this data
// (its working folder is the data folder) is refused.
func clearStale(data string) error {
	path := filepath.Join(data, postmasterFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a killed server: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err == nil {
		if folder, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && folder == data {
			return fmt.Errorf("a Postgres that cupline did not start, process %d, runs on %s: stop it first", pid, data)
		}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("delete a killed server's pid file: %w", err)
	}
	return nil
}
