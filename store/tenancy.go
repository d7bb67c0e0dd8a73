package store

import (
	"context"

	"github.com/cupline/cupline/chassis/postgres"
)

// TenantSetting is the session setting that names whose rows a connection sees, where the database
// holds its user to one tenant (migrations/sql/003_roles.sql): postgres.Config.RowScope of such a pool.
const TenantSetting = "cupline.tenant"

// everyTenant is no tenant's id, and means all of them.
const everyTenant = "*"

// ForTenant lets whatever is done under ctx see and change the rows of one tenant. It is said where
// a caller's tenant is found out, not where statements are made: so a statement that asks for
// another's rows finds none.
func ForTenant(ctx context.Context, tenant string) context.Context {
	if tenant == everyTenant {
		tenant = "" // whoever names a tenant so is no tenant
	}
	return postgres.WithRowScope(ctx, tenant)
}

// ForEveryTenant is for the platform's own work: what is known before a tenant is, and what is taken
// up for all of them.
func ForEveryTenant(ctx context.Context) context.Context {
	return postgres.WithRowScope(ctx, everyTenant)
}
