package postgres_test

import (
	"testing"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
)

func TestALockHasOneHolder(t *testing.T) {
	t.Parallel()
	database := postgrestest.New(t, nil)
	take := func(pool *postgres.Pool, want bool) *postgres.Lock {
		t.Helper()
		lock, err := pool.TryLock(t.Context(), 42)
		if err != nil || (lock != nil) != want {
			t.Fatalf("%v, %v", lock, err)
		}
		return lock
	}
	one, other := database.Pool(t), database.Pool(t)
	lock := take(one, true)
	take(other, false)
	if err := lock.Check(t.Context()); err != nil {
		t.Error(err)
	}
	lock.Release(t.Context())
	lock = take(other, true)
	// Its connection is lost, and with it the lock.
	_, err := one.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = 42
		and database = (select oid from pg_database where datname = current_database())`)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Check(t.Context()); err == nil {
		t.Error("the lock counts as held by a connection that is gone")
	}
	lock.Release(t.Context())
	for lock = nil; lock == nil; { // the server lets go of it in its own time
		if lock, err = one.TryLock(t.Context(), 42); err != nil {
			t.Fatal(err)
		}
	}
	lock.Release(t.Context())
}
