package audit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/internal/storetest"
)

// The janitor may end the retention of what is old. Nobody may delete anything else, the janitor neither.
func TestForgetIsTheOnlyWayOut(t *testing.T) {
	t.Parallel()
	database := storetest.Database(t)
	owner := database.Pool(t)
	janitor := audit.New(storetest.Pool(t, database.As(t, "cupline_janitor").URL(), "janitor", 1))
	now := time.Now()
	for _, age := range []time.Duration{100 * time.Hour, 50 * time.Hour, 25 * time.Hour, time.Hour, 0} {
		for _, tenant := range []string{"acme", "other"} {
			if err := audit.New(owner).Append(t.Context(), audit.Entry{Tenant: tenant, At: now.Add(-age), Stage: audit.StageIntake, Action: "x"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	forget := func(before time.Time, limit int) int64 {
		t.Helper()
		n, err := janitor.Forget(t.Context(), "acme", before, limit)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := forget(now.Add(-30*time.Hour), 1); n != 1 {
		t.Errorf("the oldest: %d", n)
	}
	if n := forget(now.Add(time.Hour), 10); n != 2 {
		t.Errorf("all that is older than a day: %d", n)
	}
	if left, err := audit.New(owner).List(t.Context(), "acme", time.Time{}, 10); err != nil || len(left) != 2 {
		t.Errorf("%+v, %v", left, err)
	}
	if left, err := audit.New(owner).List(t.Context(), "other", time.Time{}, 10); err != nil || len(left) != 5 {
		t.Errorf("the other's: %+v, %v", left, err)
	}
	for _, role := range []string{"cupline_api", "cupline_recorder", "cupline_pusher", "cupline_dispatcher"} {
		trail := audit.New(storetest.Pool(t, database.As(t, role).URL(), role, 1))
		_, err := trail.Forget(t.Context(), "other", now, 10)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: %v", role, err)
		}
	}
	if _, err := owner.Exec(t.Context(), "delete from audit_trail"); err == nil {
		t.Error("the owner deleted entries by accident")
	}
}
