package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// scopeKey is where a context carries its row scope.
type scopeKey struct{}

// WithRowScope has every connection that is acquired under ctx carry that scope in the
// setting Config.RowScope, which policies of row-level security ask. Without one the setting is empty,
// whatever the connection was used for before.
func WithRowScope(ctx context.Context, scope string) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
}

// scoper gives connections the scope of who acquires them. It costs a round trip where that
// is another than the last time.
type scoper struct{ setting string }

// scopeMark is what a connection remembers its scope under.
const scopeMark = "cupline.rowscope"

func (s scoper) prepare(ctx context.Context, conn *pgx.Conn) (bool, error) {
	want, _ := ctx.Value(scopeKey{}).(string)
	data := conn.PgConn().CustomData()
	if has, _ := data[scopeMark].(string); has == want {
		return true, nil
	}
	// Outside of any transaction, so nothing takes it back.
	if _, err := conn.Exec(ctx, "select set_config($1, $2, false)", s.setting, want); err != nil {
		return false, ctx.Err() // not known which it has: it is closed, and another one is tried
	}
	data[scopeMark] = want
	return true, nil
}
