package packages

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Postgres is an installed database server.
type Postgres struct {
	// Major is its major version: 15, 16, 17.
	Major int
	// Bin is the folder that holds postgres and initdb.
	Bin string
}

// OldestPostgres is the first major version that is supported.
const OldestPostgres = 15

// FindPostgres finds the newest installed server of major version [OldestPostgres] or later: below
// /usr/lib/postgresql first, where Debian keeps one folder a version, then in pg_config's folder. The error wraps
// [ErrMissing] when there is none.
func FindPostgres() (Postgres, error) {
	return findPostgres("/usr/lib/postgresql")
}

// FindPostgresMajor finds the installed server of exactly one major version, the only one that can run data made by it.
// The error wraps [ErrMissing] when it is not there.
func FindPostgresMajor(major int) (Postgres, error) {
	folder := filepath.Join("/usr/lib/postgresql", strconv.Itoa(major), "bin")
	if hasServer(folder) {
		return Postgres{Major: major, Bin: folder}, nil
	}
	if found := configuredPostgres(); found.Major == major {
		return found, nil
	}
	return Postgres{}, fmt.Errorf("find Postgres %d, which made the data that is there: %w; install postgresql-%d, "+
		"or delete the data", major, ErrMissing, major)
}

func findPostgres(root string) (Postgres, error) {
	folders, err := filepath.Glob(filepath.Join(root, "*", "bin"))
	if err != nil {
		return Postgres{}, fmt.Errorf("find Postgres: %w", err)
	}
	var newest Postgres
	for _, folder := range folders {
		version, err := ParseVersion(filepath.Base(filepath.Dir(folder)))
		if err == nil && version.Major > newest.Major && hasServer(folder) {
			newest = Postgres{Major: version.Major, Bin: folder}
		}
	}
	if newest.Major == 0 {
		newest = configuredPostgres()
	}
	if newest.Major == 0 {
		return Postgres{}, fmt.Errorf("find Postgres: no server below %s and none by pg_config: %w", root, ErrMissing)
	}
	if newest.Major < OldestPostgres {
		return Postgres{}, fmt.Errorf("find Postgres: %s holds version %d, and %d or later is needed: %w",
			newest.Bin, newest.Major, OldestPostgres, ErrMissing)
	}
	return newest, nil
}

// configuredPostgres is the server that pg_config knows, or nothing.
func configuredPostgres() Postgres {
	path, err := exec.LookPath("pg_config")
	if err != nil {
		return Postgres{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	answer, err := exec.CommandContext(ctx, path, "--bindir", "--version").Output()
	if err != nil {
		return Postgres{}
	}
	folder, name, _ := strings.Cut(strings.TrimSpace(string(answer)), "\n")
	version, err := ParseVersion(strings.TrimPrefix(name, "PostgreSQL "))
	if err != nil || !hasServer(folder) {
		return Postgres{}
	}
	return Postgres{Major: version.Major, Bin: folder}
}

// hasServer reports whether a folder holds what a private database is made with.
func hasServer(folder string) bool {
	for _, program := range []string{"postgres", "initdb"} {
		info, err := os.Stat(filepath.Join(folder, program))
		if err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}
