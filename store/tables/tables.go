// Package tables tells how large what is kept has become, from the database's own statistics:
// asking reads no row of any table.
package tables

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
)

// Size of one table, its partitions included.
type Size struct {
	Table string
	// Rows is about how many there are; Inserted how many were ever written since the
	// statistics were last reset.
	Rows, Inserted int64
	// Bytes on disk, indexes included.
	Bytes int64
}

const sizesSQL = `select coalesce(p.relname, c.relname)::text, sum(s.n_live_tup)::bigint, sum(s.n_tup_ins)::bigint,
		sum(pg_total_relation_size(c.oid))::bigint
	from pg_stat_user_tables s
	join pg_class c on c.oid = s.relid
	left join pg_inherits i on i.inhrelid = c.oid
	left join pg_class p on p.oid = i.inhparent
	where s.schemaname = any(current_schemas(false))
	group by 1 order by 1`

// Sizes of all tables of the schema in use, by name.
func Sizes(ctx context.Context, pool *postgres.Pool) ([]Size, error) {
	rows, err := pool.Query(ctx, sizesSQL)
	if err != nil {
		return nil, store.Fault("ask for the tables' sizes", err)
	}
	sizes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Size])
	return sizes, store.Fault("ask for the tables' sizes", err)
}
