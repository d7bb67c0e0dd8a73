package ledger

import (
	"context"

	"github.com/google/uuid"
)

// ByCommand returns the row of one command of a tenant, whoever its client is, or ErrNoRow. It is for operators.
func (r *Reader) ByCommand(ctx context.Context, tenant string, commandID uuid.UUID) (Row, error) {
	const query = `select ` + columns + ` from ledger where command_id = $1 and tenant is not distinct from $2 limit 1`
	return one(r.pool.QueryRow(ctx, query, [16]byte(commandID), tenant))
}
