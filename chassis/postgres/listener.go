package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

const (
	listenMin = 100 * time.Millisecond
	listenMax = 5 * time.Second
	// listenCheck is how long a silent connection is trusted before it is asked; a peer
	// that vanished says nothing.
	listenCheck = 15 * time.Second
	listenLimit = 5 * time.Second
	complain    = time.Minute
)

// ListenerConfig of a listener. Channels, Notify and Connected are required.
type ListenerConfig struct {
	Channels []string
	// Notify is called for each notification, in order, on the listener's goroutine.
	Notify func(ctx context.Context, channel, payload string)
	// Connected is called after each (re)connect, on the same goroutine, before any
	// notification of it. What was notified before is lost, so caches drop everything.
	Connected func(ctx context.Context)
	// Disconnected is called when notifications have stopped coming; may be nil.
	Disconnected func()
	Log          *zap.Logger
}

// Listener is a supervised LISTEN on a connection of its own, outside the pool. A lost
// connection is made again after 100 ms to 5 s.
type Listener struct {
	pool *Pool
	cfg  ListenerConfig
	loop loop

	mu  sync.Mutex // guards why
	why error      // nil while listening
}

var errNotYet = errors.New("not connected yet")

// NewListener makes a listener to the pool's database.
func NewListener(pool *Pool, cfg ListenerConfig) *Listener {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	return &Listener{pool: pool, cfg: cfg, why: errNotYet}
}

// Start listens in the background until Stop. It succeeds with the database away.
func (l *Listener) Start(ctx context.Context) error { return l.loop.start(ctx, l.run) }

// Stop ends listening, and returns when the last callback has returned.
func (l *Listener) Stop(ctx context.Context) error { return l.loop.stop(ctx) }

// Ready is nil while listening.
func (l *Listener) Ready(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why == nil {
		return nil
	}
	return fmt.Errorf("not listening for changes in the database: %w", l.why)
}

func (l *Listener) run(ctx context.Context) {
	pause := listenMin
	var complained time.Time
	for {
		listened, err := l.listen(ctx)
		l.set(err)
		if listened {
			pause = listenMin
			if l.cfg.Disconnected != nil {
				l.cfg.Disconnected()
			}
		}
		if ctx.Err() != nil {
			return
		}
		if listened || time.Since(complained) > complain {
			complained = time.Now()
			l.cfg.Log.Warn("not listening for changes in the database", zap.Error(err))
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return
		}
		pause = min(2*pause, listenMax)
	}
}

// listen is one connection; listened says that Connected was called.
func (l *Listener) listen(ctx context.Context) (listened bool, err error) {
	connection, err := pgx.ConnectConfig(ctx, l.pool.Config().ConnConfig)
	if err != nil {
		return false, err
	}
	defer func() {
		// The connection is given up whatever its last words are.
		farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = connection.Close(farewell)
	}()
	for _, channel := range l.cfg.Channels {
		if _, err := connection.Exec(ctx, "listen "+pgx.Identifier{channel}.Sanitize()); err != nil {
			return false, fmt.Errorf("listen on %s: %w", channel, err)
		}
	}
	l.cfg.Connected(ctx)
	l.set(nil)
	for {
		if err := l.next(ctx, connection); err != nil {
			return true, err
		}
	}
}

// next waits for one notification, or finds the connection still alive.
func (l *Listener) next(ctx context.Context, connection *pgx.Conn) error {
	quiet, cancel := context.WithTimeout(ctx, listenCheck)
	defer cancel()
	n, err := connection.WaitForNotification(quiet)
	if err == nil {
		l.cfg.Notify(ctx, n.Channel, n.Payload)
		return nil
	}
	if ctx.Err() != nil || quiet.Err() == nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	return connection.Ping(asking)
}

func (l *Listener) set(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = why
}
