// Package migrations owns the schema of Cupline's Postgres database. The files in sql/ are
// embedded, applied in the order of their numbers, and never changed once released.
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed sql/*.sql
var embedded embed.FS

var (
	// ErrNewer says that the database has migrations which this program does not know.
	ErrNewer = errors.New("the database is newer than this program")
	// ErrChanged says that a file which was applied is no longer what it was.
	ErrChanged = errors.New("an applied migration was changed")
	// ErrEncoding says that the database cannot hold every text.
	ErrEncoding = errors.New("the database's encoding must be UTF8")
)

const (
	// lockKey is this project's own advisory lock: "cupline" in hexadecimal.
	lockKey = 0x6375706c696e65
	// changeLock is how long a change waits for a lock of a running service before it gives
	// up: while it waits, everything behind it waits, too.
	changeLock = "10s"
	// queueLock is how long one migrating process waits for another.
	queueLock = "5min"
)

// Up applies what is missing, each file in one transaction with its version row, under one
// advisory lock, and returns the names of the files it applied, those before an error too.
// It refuses a database that is newer than this program (ErrNewer), and one whose applied files
// differ from the embedded ones (ErrChanged).
func Up(ctx context.Context, databaseURL string) (applied []string, err error) {
	files, err := embeddedFiles()
	if err != nil {
		return nil, err
	}
	return up(ctx, databaseURL, files)
}

// State of one migration.
type State struct {
	// Number and Name are the file's: 1 and "001_foundation.sql".
	Number int
	Name   string
	// Applied is zero while it is missing.
	Applied time.Time
}

// Status tells of every file known, embedded or applied, in the order of numbers. Its error is
// ErrNewer or ErrChanged where Up would refuse; the states come all the same.
func Status(ctx context.Context, databaseURL string) ([]State, error) {
	files, err := embeddedFiles()
	if err != nil {
		return nil, err
	}
	return status(ctx, databaseURL, files)
}

func embeddedFiles() ([]file, error) {
	sub, err := fs.Sub(embedded, "sql")
	if err != nil {
		return nil, fmt.Errorf("read the embedded migrations: %w", err)
	}
	return readFiles(sub)
}

func up(ctx context.Context, databaseURL string, files []file) (applied []string, err error) {
	conn, err := connect(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	// The advisory lock goes with the session.
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := prepare(ctx, conn); err != nil {
		return nil, err
	}
	versions, err := readVersions(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := compare(files, versions); err != nil {
		return nil, err
	}
	for _, f := range files[len(versions):] {
		if err := apply(ctx, conn, f); err != nil {
			return applied, fmt.Errorf("migration %s: %w", f.name, err)
		}
		applied = append(applied, f.name)
	}
	return applied, nil
}

func status(ctx context.Context, databaseURL string, files []file) (states []State, err error) {
	conn, err := connect(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	versions, err := readVersions(ctx, conn)
	if err != nil {
		return nil, err
	}
	for i := range max(len(files), len(versions)) {
		var s State
		if i < len(files) {
			s.Number, s.Name = files[i].number, files[i].name
		}
		if i < len(versions) {
			s.Number, s.Name, s.Applied = versions[i].number, versions[i].name, versions[i].applied
		}
		states = append(states, s)
	}
	return states, compare(files, versions)
}

func connect(ctx context.Context, databaseURL string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, errors.New("the database URL is not valid") // the parser's words may show parts of a password
	}
	if cfg.ValidateConnect == nil {
		// Of several hosts, the one that can be written to.
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "cupline-migrations"
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// prepare takes the lock and makes the version table.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	if encoding := conn.PgConn().ParameterStatus("server_encoding"); encoding != "UTF8" {
		return fmt.Errorf("%w, not %s", ErrEncoding, encoding)
	}
	if _, err := conn.Exec(ctx, "set lock_timeout = '"+queueLock+"'"); err != nil {
		return fmt.Errorf("set lock_timeout: %w", err)
	}
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(lockKey)); err != nil {
		return fmt.Errorf("wait for another migration to end: %w", err)
	}
	_, err := conn.Exec(ctx, `create table if not exists cupline_migrations (
		number     integer primary key,
		name       text not null,
		checksum   bytea not null,
		applied_at timestamptz not null default now())`)
	if err != nil {
		return fmt.Errorf("make the table of versions: %w", err)
	}
	return nil
}

func apply(ctx context.Context, conn *pgx.Conn, f file) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "set local lock_timeout = '"+changeLock+"'"); err != nil {
			return fmt.Errorf("set lock_timeout: %w", err)
		}
		// The simple protocol: a file is many statements.
		if _, err := conn.PgConn().Exec(ctx, f.sql).ReadAll(); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "insert into cupline_migrations (number, name, checksum) values ($1, $2, $3)",
			f.number, f.name, f.checksum[:])
		if err != nil {
			return fmt.Errorf("record the version: %w", err)
		}
		return nil
	})
}
