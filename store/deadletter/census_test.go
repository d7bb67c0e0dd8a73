package deadletter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

func TestCensusCountsWhatIsOpenByReasonAndAge(t *testing.T) {
	t.Parallel()
	s := deadletter.New(storetest.Database(t).Pool(t))
	if counts, err := s.Census(t.Context()); err != nil || len(counts) != 0 {
		t.Fatalf("of nothing: %+v, %v", counts, err)
	}
	var last uuid.UUID
	for _, l := range []struct {
		tenant, reason string
		age            time.Duration
	}{
		{"acme", "expired", time.Minute}, {"zeta", "expired", 2 * time.Minute}, {"acme", "expired", 2 * time.Hour},
		{"acme", "no_answer", 48 * time.Hour}, {"acme", "no_answer", 50 * time.Hour}, {"acme", "no_answer", time.Second},
	} {
		settled, err := s.Settle(t.Context(), ledger.Key{}, always(deadletter.Resolution{Letter: &deadletter.Letter{
			Tenant: l.tenant, CommandID: uuid.New(), Client: "web", Reason: l.reason, Executed: "no", Payload: []byte("{}"),
			DiedAt: time.Now().Add(-l.age),
		}}))
		if err != nil {
			t.Fatal(err)
		}
		last = settled.LetterID
	}
	if _, err := s.Discard(t.Context(), "acme", last, deadletter.Act{Actor: "ann", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	counts, err := s.Census(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []deadletter.Count{
		{State: "open", Reason: "expired", Age: deadletter.AgeDay, N: 1, Oldest: 2 * time.Hour},
		{State: "open", Reason: "expired", Age: deadletter.AgeHour, N: 2, Oldest: 2 * time.Minute},
		{State: "open", Reason: "no_answer", Age: deadletter.AgeOlder, N: 2, Oldest: 50 * time.Hour},
	}
	ordered := cmpopts.SortSlices(func(a, b deadletter.Count) bool { return a.Reason+a.Age < b.Reason+b.Age })
	roughly := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < 30*time.Minute })
	if diff := cmp.Diff(want, counts, ordered, roughly); diff != "" {
		t.Error(diff)
	}
}
