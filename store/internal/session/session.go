// Package session takes connections from a pool for the store's hot statements.
//
// Postgres keeps a prepared statement's plan until its table is analysed anew. One made while
// a table is nearly empty reads the table whole, and on a table that grows faster than it is
// analysed every statement of a busy service would do that for a minute or more. All hot
// statements of the store find their rows by an index; here their connections are told so.
package session

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const mark = "cupline.byindex"

// Acquire takes a connection from the pool whose plans prefer indexes. It stays so when it
// goes back: other statements on it lose nothing by that.
func Acquire(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("get a connection: %w", err)
	}
	data := conn.Conn().PgConn().CustomData()
	if data[mark] == nil {
		if _, err := conn.Exec(ctx, "set enable_seqscan = off"); err != nil {
			conn.Release()
			return nil, fmt.Errorf("prepare a connection: %w", err)
		}
		data[mark] = true
	}
	return conn, nil
}

// RollBack ends a transaction that was begun by hand, so that the connection can go back. One
// that cannot be mended is closed by the pool.
func RollBack(ctx context.Context, conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if !conn.Conn().IsClosed() {
		_, _ = conn.Exec(ctx, "rollback")
	}
}
