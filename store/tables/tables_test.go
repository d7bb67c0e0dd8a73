package tables_test

import (
	"slices"
	"testing"

	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/tables"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestSizesCountWhatWasWritten(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	const lines = 3
	for range lines {
		if err := audit.New(pool).Append(t.Context(), audit.Entry{Tenant: "acme", Stage: audit.StageOperator, Action: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	// A backend hands its statistics on when it has nothing to do, or when it is told to; which
	// of the pool's wrote is not known.
	for _, conn := range pool.AcquireAllIdle(t.Context()) {
		if _, err := conn.Exec(t.Context(), "select pg_stat_force_next_flush()"); err != nil {
			t.Fatal(err)
		}
		conn.Release()
	}
	sizes, err := tables.Sizes(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	trail := slices.IndexFunc(sizes, func(s tables.Size) bool { return s.Table == "audit_trail" })
	if trail < 0 || sizes[trail].Inserted != lines || sizes[trail].Bytes == 0 {
		t.Errorf("got %+v", sizes)
	}
}
