// Package postgres is the way to the database that every service uses: a pool that starts
// with the database away, readiness that tests a write, errors asked by behaviour, the
// database's clock, and a supervised LISTEN.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config of a pool. URL is required; everything else has a default.
type Config struct {
	// URL is postgres://, or libpq's keyword form. Several hosts may be named: the one that
	// takes writes is used.
	URL string
	// MaxConns is the most connections. Default 8.
	MaxConns int32
	// ApplicationName is what pg_stat_activity shows.
	ApplicationName string
	// ConnectTimeout bounds each attempt to connect. Default 5 s.
	ConnectTimeout time.Duration
	// StatementTimeout is the server's own limit for one statement. Default 30 s.
	StatementTimeout time.Duration
	// IdleInTransaction is the server's limit for a transaction in which nothing happens:
	// whose client is gone without a word holds no locks for longer. Default 30 s.
	IdleInTransaction time.Duration
	// RowScope names the session setting that takes a context's scope (WithRowScope), say "app.scope".
	// None by default. It needs sessions of its own: a proxy that pools transactions mixes them up.
	RowScope string
}

const (
	defaultMaxConns       = 8
	defaultConnectTimeout = 5 * time.Second
	defaultStatement      = 30 * time.Second
	// readyFor is how long an answer of Ready is good for: probes must not become load.
	readyFor = time.Second
	// readyLimit bounds the write that Ready tests.
	readyLimit = 2 * time.Second
)

// Pool is pgx's pool, with readiness.
type Pool struct {
	*pgxpool.Pool
	turn chan struct{} // held while readiness is tested

	mu      sync.Mutex // guards the rest
	checked time.Time
	ready   error
}

// Open checks the settings and makes the pool. It does not connect, so it succeeds with
// the database away. Errors never show a password.
func Open(ctx context.Context, cfg Config) (*Pool, error) {
	parsed, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("open a pool of connections to Postgres: %w", err)
	}
	return &Pool{Pool: pool, turn: make(chan struct{}, 1)}, nil
}

func parse(cfg Config) (*pgxpool.Config, error) {
	if cfg.URL == "" {
		return nil, errors.New("postgres: no database URL given")
	}
	parsed, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, errors.New("postgres: the database URL is not valid") // pgx's words may show parts of a password
	}
	orDefault := func(d, otherwise time.Duration) time.Duration {
		if d <= 0 {
			return otherwise
		}
		return d
	}
	parsed.MaxConns = cfg.MaxConns
	if parsed.MaxConns <= 0 {
		parsed.MaxConns = defaultMaxConns
	}
	parsed.MinConns, parsed.MinIdleConns = 0, 0 // or the pool would not open with the database away
	connection := parsed.ConnConfig
	connection.ConnectTimeout = orDefault(cfg.ConnectTimeout, defaultConnectTimeout)
	connection.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	parsed.BeforeConnect = freshTLS(cfg.URL)
	settings := connection.RuntimeParams
	if cfg.ApplicationName != "" {
		settings["application_name"] = cfg.ApplicationName
	}
	settings["jit"] = "off" // compiling a query takes longer than any of Cupline's queries may
	if cfg.RowScope != "" {
		parsed.PrepareConn = scoper{cfg.RowScope}.prepare
	}
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	settings["statement_timeout"] = milliseconds(orDefault(cfg.StatementTimeout, defaultStatement))
	settings["idle_in_transaction_session_timeout"] = milliseconds(orDefault(cfg.IdleInTransaction, defaultStatement))
	return parsed, nil
}

// freshTLS has each new connection read the certificates anew that the URL names (sslrootcert, sslcert, sslkey), so that renewed
// ones need no restart. Where that fails, say while they are being written, those that were read before go on.
func freshTLS(url string) func(context.Context, *pgx.ConnConfig) error {
	return func(_ context.Context, connection *pgx.ConnConfig) error {
		if connection.TLSConfig == nil {
			return nil
		}
		fresh, err := pgconn.ParseConfig(url)
		if err != nil || len(fresh.Fallbacks) != len(connection.Fallbacks) {
			return nil //nolint:nilerr // the last good ones go on
		}
		connection.TLSConfig = fresh.TLSConfig
		for i, fallback := range fresh.Fallbacks {
			connection.Fallbacks[i].TLSConfig = fallback.TLSConfig
		}
		return nil
	}
}

// Ready is nil when the database takes writes; otherwise its text is a sentence for an
// operator. It commits a write: a message in the write-ahead log, which touches no table,
// and which waits for the disk and for a synchronous standby as every commit does. The
// answer is kept for a second, and whoever asks meanwhile gets it too.
func (p *Pool) Ready(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return fmt.Errorf("the database does not answer: %w", ctx.Err())
	}
	p.mu.Lock()
	fresh, known := time.Since(p.checked) < readyFor, p.ready
	p.mu.Unlock()
	if fresh {
		return known
	}
	err := p.write(ctx)
	if ctx.Err() != nil {
		return err // the caller's hurry says nothing of the database
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checked, p.ready = time.Now(), err
	return err
}

func (p *Pool) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	var readOnly bool
	const write = `select current_setting('transaction_read_only')::bool, pg_logical_emit_message(true, 'ready', ''::text) is null`
	err := p.QueryRow(ctx, write).Scan(&readOnly, nil)
	switch {
	case readOnly:
		return errors.New("the database is set to read-only")
	case IsUnavailable(err):
		return fmt.Errorf("the database is not available: %w", err)
	case err != nil:
		return fmt.Errorf("the database takes no writes: %w", err)
	}
	return nil
}
