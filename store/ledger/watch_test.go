package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

// The list of overdue commands is the same whatever part of the ledger was read for it before; and in pages of any size.
func TestOverdueBeforeAndAfterTheWatch(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	r := ledger.NewReader(pool)
	var want []string
	for i := range 40 {
		// A minute off the bound that is asked for: an age of exactly that would be overdue or not by how long this test has taken.
		age, decided, tenant := time.Duration(i)*5*time.Minute+time.Minute, i%4 == 0, "acme"
		if i%7 == 0 {
			tenant = "other"
		}
		id := uuid.New()
		if _, err := pool.Exec(t.Context(), `insert into ledger (tenant, client, id, redrive, command_id, token, digest, device, device_type, method, lane,
			timeout_ms, idempotent, one_way, accepted_at, deadline_at, created_at, started_at, outcome, decided_at)
			values ($1, 'web', $2, 0, $3, gen_random_uuid(), sha256(''), 'd', 't', 'm', 'default', 1000, false, false, $4, $4, $4, $4,
			case when $5 then '{}'::bytea end, case when $5 then $4::timestamptz end)`,
			tenant, []byte(fmt.Sprint("s:", i)), [16]byte(id), time.Now().Add(-age), decided); err != nil {
			t.Fatal(err)
		}
		if !decided && tenant == "acme" && age > 10*time.Minute {
			want = append([]string{id.String()}, want...) // oldest first
		}
	}
	check := func(when string) {
		t.Helper()
		for _, size := range []int{1, 3, 1000} {
			var got []string
			after := ledger.OpenCursor{}
			for {
				page, err := r.Overdue(t.Context(), ledger.Overdue{Tenant: "acme", Before: time.Now(), Since: 10 * time.Minute}, after, size)
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range page {
					got = append(got, row.CommandID.String())
					after = row.At
				}
				if len(page) < size {
					break
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, by %d: %d of %d: %v", when, size, len(got), len(want), got)
			}
		}
	}
	check("never read")
	for i := 0; ; i++ {
		more, err := r.Watch(t.Context(), 5)
		if err != nil || i > 20 {
			t.Fatal(i, err)
		}
		check(fmt.Sprintf("after %d stretches", i+1))
		if !more {
			break
		}
	}
	n, err := r.CountOverdue(t.Context(), 70*time.Minute)
	if err != nil || n == 0 || n >= int64(len(want)) {
		t.Errorf("%d of %d are overdue for longer, %v", n, len(want), err)
	}
	if _, err := pool.Exec(t.Context(), `update ledger set outcome = '{}', decided_at = now() where outcome is null`); err != nil {
		t.Fatal(err)
	}
	want = nil
	check("all decided")
	if n, err := r.CountOverdue(t.Context(), 0); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
}
