package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Lock is an advisory lock of the database, held by one connection. It is gone when that connection is: then another
// process gets it. A pooler between here and the database must not share sessions (pgbouncer in transaction mode does).
type Lock struct {
	conn *pgxpool.Conn
	key  int64
}

// TryLock takes the lock of that key, and with it one of the pool's connections. It is nil when somebody has it.
func (p *Pool) TryLock(ctx context.Context, key int64) (*Lock, error) {
	conn, err := p.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("get a connection for a lock: %w", err)
	}
	var got bool
	if err := conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", key).Scan(&got); err != nil || !got {
		conn.Release()
		if err != nil {
			return nil, fmt.Errorf("try to get a lock: %w", err)
		}
		return nil, nil
	}
	return &Lock{conn, key}, nil
}

// Check is nil while the lock is held, as far as its connection tells.
func (l *Lock) Check(ctx context.Context) error {
	if err := l.conn.Ping(ctx); err != nil {
		return fmt.Errorf("ask for a lock: %w", err)
	}
	return nil
}

// Release gives the lock, and its connection, back. It must be called once.
func (l *Lock) Release(ctx context.Context) {
	if _, err := l.conn.Exec(ctx, "select pg_advisory_unlock($1)", l.key); err != nil {
		// With the connection goes the lock.
		_ = l.conn.Conn().Close(ctx)
	}
	l.conn.Release()
}
