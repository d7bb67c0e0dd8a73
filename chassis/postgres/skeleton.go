// Package postgres is written in place; these are the signatures that it will have.
package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"
)

// Config of a pool.
type Config struct {
	URL              string
	MaxConns         int32         // default 8
	ApplicationName  string        // seen in pg_stat_activity
	ConnectTimeout   time.Duration // default 5 s
	StatementTimeout time.Duration // default 30 s; set on the server
}

// Pool wraps pgx's, so that store packages use Query, Exec, SendBatch, BeginTx as usual.
type Pool struct{ *pgxpool.Pool }

// Open checks the settings and connects lazily: it succeeds with the database away.
func Open(ctx context.Context, cfg Config) (*Pool, error) { panic("soon") }

// Ready tests a write; its answer is kept for a second.
func (p *Pool) Ready(ctx context.Context) error { panic("soon") }

// IsRefusedRow reports that the database refuses this row's data (class 22, 23): sending
// it again cannot help.
func IsRefusedRow(err error) bool { panic("soon") }

// IsUnique reports a unique violation (23505).
func IsUnique(err error) bool { panic("soon") }

// IsUnavailable reports that the database is away, read-only, full or starting: the same
// statement may succeed later.
func IsUnavailable(err error) bool { panic("soon") }

// IsRetryable reports a serialization failure or deadlock (40001, 40P01): the transaction
// was rolled back and may be run again at once.
func IsRetryable(err error) bool { panic("soon") }

// IsNoRows reports that a query for one row found none.
func IsNoRows(err error) bool { panic("soon") }

// Clock tells database time.
type Clock struct{}

// NewClock makes a clock; before the first measurement it tells this machine's time.
func NewClock(pool *Pool, log *zap.Logger) *Clock { panic("soon") }

// Start measures in the background.
func (c *Clock) Start(ctx context.Context) error { panic("soon") }

// Stop ends measuring.
func (c *Clock) Stop(ctx context.Context) error { panic("soon") }

// Now in database time.
func (c *Clock) Now() time.Time { panic("soon") }

// Offset is database time minus this process's clock, and whether it was ever measured.
func (c *Clock) Offset() (time.Duration, bool) { panic("soon") }

// ListenerConfig of a listener.
type ListenerConfig struct {
	Channels []string
	// Notify is called for each notification, in order, on the listener's goroutine.
	Notify func(ctx context.Context, channel, payload string)
	// Connected is called after each (re)connect, before any notification of it: whatever
	// was notified meanwhile is lost, so caches drop everything.
	Connected func(ctx context.Context)
	// Disconnected is called when notifications stop coming; may be nil.
	Disconnected func()
	Log          *zap.Logger
}

// Listener is a supervised LISTEN on a connection of its own.
type Listener struct{}

// NewListener makes a listener on a connection of its own to the pool's database.
func NewListener(pool *Pool, cfg ListenerConfig) *Listener { panic("soon") }

// Start listens in the background; it succeeds with the database away.
func (l *Listener) Start(ctx context.Context) error { panic("soon") }

// Stop ends listening.
func (l *Listener) Stop(ctx context.Context) error { panic("soon") }

// Ready is nil while listening.
func (l *Listener) Ready(ctx context.Context) error { panic("soon") }
