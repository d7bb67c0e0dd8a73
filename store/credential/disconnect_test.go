package credential_test

import (
	"context"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/credential"
	"github.com/cupline/cupline/store/internal/storetest"
)

func (w *world) dueNow(t *testing.T) {
	t.Helper()
	if _, err := w.owner.Exec(t.Context(), `update device_disconnects set due_at = now() - interval '1 s'`); err != nil {
		t.Fatal(err)
	}
}

// Whoever revokes a credential, as api does it, asks for its device to be disconnected; the janitor takes it, twice.
func TestRevokedDevicesAreDisconnectedTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := store.ForTenant(t.Context(), "acme")
	_, first, err := w.store.Create(ctx, "acme", "lamp-1", time.Time{}, false, 0)
	if err != nil {
		t.Fatal(err)
	}
	if found := w.take(t); len(found) != 0 {
		t.Fatalf("nothing was revoked yet: %+v", found)
	}
	if err := w.store.Revoke(ctx, "acme", "lamp-1", first.ID); err != nil {
		t.Fatal(err)
	}
	for look := range 2 {
		found := w.take(t)
		if len(found) != 1 || found[0].Tenant != "acme" || found[0].Device != "lamp-1" || found[0].Looks != look {
			t.Fatalf("look %d: %+v", look, found)
		}
		if again := w.take(t); len(again) != 0 {
			t.Fatalf("another process gets it, too: %+v", again)
		}
		if err := w.janitor.Disconnected(t.Context(), found[0], 1); err != nil {
			t.Fatal(err)
		}
		w.dueNow(t)
	}
	if found := w.take(t); len(found) != 0 {
		t.Errorf("a third look: %+v", found)
	}
	// Again changes nothing: it is revoked.
	if err := w.store.Revoke(ctx, "acme", "lamp-1", first.ID); err != nil {
		t.Fatal(err)
	}
	if found := w.take(t); len(found) != 0 {
		t.Errorf("revoked before: %+v", found)
	}
}

// A deleted device is disconnected, and one that is asked for anew is not forgotten by who worked on the old.
func TestDeletedDevicesAreDisconnected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := store.ForTenant(t.Context(), "acme")
	_, made, err := w.store.Create(ctx, "acme", "lamp-1", time.Time{}, false, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Revoke(ctx, "acme", "lamp-1", made.ID); err != nil {
		t.Fatal(err)
	}
	found := w.take(t)
	if len(found) != 1 {
		t.Fatalf("%+v", found)
	}
	if _, err := w.pool.Exec(ctx, `delete from devices where tenant = 'acme' and device = 'lamp-1'`); err != nil {
		t.Fatal(err)
	}
	if err := w.janitor.Disconnected(t.Context(), found[0], 0); err != nil {
		t.Fatal(err)
	}
	if found := w.take(t); len(found) != 1 || found[0].Looks != 0 {
		t.Fatalf("asked for anew: %+v", found)
	} else if err := w.janitor.PutOff(t.Context(), found[0], time.Minute, time.Hour); err != nil {
		t.Fatal(err)
	}
	if found := w.take(t); len(found) != 0 {
		t.Errorf("put off: %+v", found)
	}
}

func (w *world) take(t *testing.T) []credential.Disconnect {
	t.Helper()
	found, err := w.janitor.TakeDisconnects(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// world is a database with the tenant acme and its device lamp-1, as api and the janitor see it.
type world struct {
	owner, pool    *postgres.Pool
	store, janitor *credential.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	database := storetest.Database(t)
	owner := database.Pool(t)
	for _, statement := range []string{
		`insert into tenants (tenant) values ('acme')`,
		`insert into device_types (tenant, type, lane, driver, methods, all_idempotent) values ('acme', 'lamp', 'default', 'mqtt', '{}', false)`,
		`insert into devices (tenant, device, type) values ('acme', 'lamp-1', 'lamp')`,
	} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	as := func(role migrations.Role, scope string) *postgres.Pool {
		pool, err := postgres.Open(context.WithoutCancel(t.Context()), postgres.Config{URL: database.As(t, string(role)).URL(), MaxConns: 2, RowScope: scope})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
	w := &world{owner: owner, pool: as(migrations.API, store.TenantSetting)}
	w.store, w.janitor = credential.New(w.pool), credential.New(as(migrations.Janitor, ""))
	return w
}
