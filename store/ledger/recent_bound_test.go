package ledger_test

import (
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

// What is looked at is bounded by the rows of all tenants, also behind the wall around one.
func TestRecentIsBoundedBehindTheWall(t *testing.T) {
	t.Parallel()
	database := storetest.Database(t)
	owner := database.Pool(t)
	const rows = `insert into ledger (tenant, client, id, redrive, command_id, digest, device, device_type, method, lane, timeout_ms,
			idempotent, one_way, accepted_at, deadline_at, created_at)
		select $1, 'web', convert_to(n::text, 'UTF8'), 0, gen_random_uuid(), '', 'lamp-1', 'lamp', 'm', 'default', 1, false, false, now(), now(),
			now() - $3::interval from generate_series(1, $2::integer) as n`
	for _, made := range []struct {
		tenant string
		n      int
		age    time.Duration
	}{{"acme", 3, 2 * time.Hour}, {"other", ledger.Recently, time.Hour}} {
		if _, err := owner.Exec(t.Context(), rows, made.tenant, made.n, made.age); err != nil {
			t.Fatal(err)
		}
	}
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: database.As(t, string(migrations.API)).URL(), MaxConns: 2, RowScope: store.TenantSetting})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	r, ctx := ledger.NewReader(pool), store.ForTenant(t.Context(), "acme")
	day := time.Now().Add(-24 * time.Hour)
	if found, err := r.Recent(ctx, ledger.Choice{Tenant: "acme", Since: day}, 10); err != nil || len(found) != 0 {
		t.Errorf("%d rows from behind the newest of all, %v", len(found), err)
	}
	tally, err := r.Count(ctx, "acme", day)
	if age := time.Since(tally.From); err != nil || tally.Open != 0 || age < 50*time.Minute || age > 90*time.Minute {
		t.Errorf("%+v, %v", tally, err)
	}
	if _, err := owner.Exec(t.Context(), `update ledger set created_at = now() where tenant = 'acme'`); err != nil {
		t.Fatal(err)
	}
	if found, err := r.Recent(ctx, ledger.Choice{Tenant: "acme", Since: day}, 10); err != nil || len(found) != 3 {
		t.Errorf("%d of the newest rows, %v", len(found), err)
	}
}
