package migrations

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// file is one migration as it is embedded.
type file struct {
	number   int
	name     string
	sql      string
	checksum [sha256.Size]byte
}

// version is one migration as the database remembers it.
type version struct {
	number   int
	name     string
	checksum []byte
	applied  time.Time
}

// readFiles reads NNN_name.sql in order and refuses duplicates and stray names. Numbers may have gaps.
func readFiles(source fs.FS) ([]file, error) {
	entries, err := fs.ReadDir(source, ".") // sorted by name, so by number
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var files []file
	var problems []error
	for _, entry := range entries {
		number, err := parseName(entry.Name())
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if len(files) > 0 && number <= files[len(files)-1].number {
			problems = append(problems, fmt.Errorf("migration %s: %03d is taken", entry.Name(), number))
		}
		sql, err := fs.ReadFile(source, entry.Name())
		if err != nil {
			problems = append(problems, fmt.Errorf("migration %s: %w", entry.Name(), err))
		}
		files = append(files, file{number: number, name: entry.Name(), sql: string(sql), checksum: sha256.Sum256(sql)})
	}
	return files, errors.Join(problems...)
}

func parseName(name string) (number int, err error) {
	digits, rest, found := strings.Cut(name, "_")
	parsed, convErr := strconv.ParseUint(digits, 10, 16)
	if !found || convErr != nil || len(digits) != 3 || parsed < 1 || len(rest) <= len(".sql") || !strings.HasSuffix(rest, ".sql") {
		return 0, fmt.Errorf("migration %s: a name must be NNN_name.sql", name)
	}
	return int(parsed), nil
}

// readVersions returns what was applied, in order; nothing when the table is not there yet.
func readVersions(ctx context.Context, conn *pgx.Conn) ([]version, error) {
	var there bool
	if err := conn.QueryRow(ctx, "select to_regclass('cupline_migrations') is not null").Scan(&there); err != nil {
		return nil, fmt.Errorf("look for the table of versions: %w", err)
	}
	if !there {
		return nil, nil
	}
	rows, err := conn.Query(ctx, "select number, name, checksum, applied_at from cupline_migrations order by number")
	if err != nil {
		return nil, fmt.Errorf("read the versions: %w", err)
	}
	versions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v version, err error) {
		err = row.Scan(&v.number, &v.name, &v.checksum, &v.applied)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the versions: %w", err)
	}
	return versions, nil
}

// compare holds what was applied against the files: it must be the first of them, unchanged.
func compare(files []file, versions []version) error {
	for i, v := range versions {
		switch {
		case i >= len(files):
			return fmt.Errorf("%w: it has %s, the last one known here is %03d; use the program that migrated it, or a later one",
				ErrNewer, versions[len(versions)-1].name, files[len(files)-1].number)
		case v.number > files[i].number:
			return fmt.Errorf("%w: %s is not recorded, and %s is", ErrChanged, files[i].name, v.name)
		case v.name != files[i].name:
			return fmt.Errorf("%w: %s was applied under the name %s", ErrChanged, files[i].name, v.name)
		case !bytes.Equal(v.checksum, files[i].checksum[:]):
			return fmt.Errorf("%w: %s is not what was applied at %s", ErrChanged, v.name, v.applied.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
