package deadletter_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

func TestLetterIsKeptWhole(t *testing.T) {
	t.Parallel()
	s := deadletter.New(storetest.Database(t).Pool(t))
	want := deadletter.Letter{
		Tenant: "acme", CommandID: uuid.New(), Client: "web", Device: "lamp-1", DeviceType: "lamp", Method: "relay.set",
		Lane: "default", ID: []byte("\"\x00\""), Redrive: 2, RedriveOf: uuid.New(), Reason: "expired", Executed: "no", Detail: "why",
		State: deadletter.Open, Payload: []byte("\x00\xff{}"), Properties: []byte("{}"), Headers: []byte("\x00"), Deaths: []byte("[]"),
		Outcome: []byte("{}"), Digest: [32]byte{9}, DiedAt: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC),
	}
	settled, err := s.Settle(t.Context(), ledger.Key{}, always(deadletter.Resolution{Letter: &want}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), "acme", settled.LetterID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(want, "LetterID", "Cause", "Group")); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Get(t.Context(), "other", settled.LetterID); !errors.Is(err, deadletter.ErrNotFound) {
		t.Errorf("another tenant sees it: %v", err)
	}
	later := want
	later.CommandID, later.DiedAt = uuid.New(), time.Time{}
	if _, err := s.Settle(t.Context(), ledger.Key{}, always(deadletter.Resolution{Letter: &later})); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		before time.Time
		limit  int
		want   []uuid.UUID
	}{
		"all": {time.Time{}, 10, []uuid.UUID{later.CommandID, want.CommandID}}, "one": {time.Time{}, 1, []uuid.UUID{later.CommandID}},
		"old": {want.DiedAt.Add(time.Second), 10, []uuid.UUID{want.CommandID}}, "none": {want.DiedAt, 10, nil},
	} {
		letters, err := s.List(t.Context(), "acme", c.before, c.limit)
		var ids []uuid.UUID
		for _, l := range letters {
			ids = append(ids, l.CommandID)
		}
		if err != nil || !cmp.Equal(ids, c.want) {
			t.Errorf("%s: %v, %v", name, ids, err)
		}
	}
}

// What cannot be stored is refused, alone, and then parked, once.
func TestUnstorableIsParked(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := deadletter.New(pool)
	c := claim("c-1")
	r := resolve(c, "expired")
	r.Letter.Device = "nul\x00\xff"
	if _, err := s.Settle(t.Context(), c.Key, always(r)); !errors.Is(err, store.ErrRefused) {
		t.Fatalf("a letter with NUL in a name: %v", err)
	}
	if n := count(t, pool, "ledger") + count(t, pool, "dead_letters") + count(t, pool, "audit_trail"); n != 0 {
		t.Errorf("%d rows of a refused settlement", n)
	}
	tooFar := resolve(c, "expired")
	tooFar.Letter.Redrive = 1 << 40
	if _, err := s.Settle(t.Context(), c.Key, always(tooFar)); !errors.Is(err, store.ErrRefused) {
		t.Errorf("a redrive that no column holds: %v", err)
	}
	letter := *r.Letter
	letter.Redrive = -1
	letter.Digest = [32]byte{7}
	var first uuid.UUID
	for i := range 2 {
		id, again, err := s.Park(t.Context(), letter, audit.Entry{Tenant: "system", Stage: audit.StageRecord, Action: "parked"})
		if err != nil || again != (i == 1) || i == 1 && id != first {
			t.Fatalf("park: %v, %v, %v", id, again, err)
		}
		first = id
	}
	got, err := s.Get(t.Context(), "system", first)
	if err != nil || got.Reason != "unrecordable" || got.Device != "nul\uFFFD\uFFFD" && got.Device != "nul\uFFFD" || got.CommandID != c.CommandID {
		t.Errorf("%+v, %v", got, err)
	}
	if n := count(t, pool, "audit_trail"); n != 1 {
		t.Errorf("%d audit entries", n)
	}
	letter.Digest = [32]byte{8}
	if id, again, err := s.Park(t.Context(), letter); err != nil || again || id == first {
		t.Errorf("another message: %v, %v, %v", id, again, err)
	}
}

// Garbage names no command: its digest tells one message from another.
func TestGarbageIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := deadletter.New(storetest.Database(t).Pool(t))
	settle := func(payload string) deadletter.Settled {
		settled, err := s.Settle(t.Context(), ledger.Key{}, func(row *ledger.Row) deadletter.Resolution {
			if row != nil {
				t.Errorf("garbage has a row: %+v", row)
			}
			return deadletter.Resolution{Letter: &deadletter.Letter{Tenant: "system", Reason: "undeliverable", Payload: []byte(payload)}}
		})
		if err != nil {
			t.Fatal(err)
		}
		return settled
	}
	first, again, other := settle("a"), settle("a"), settle("b")
	if first.Again || !again.Again || first.LetterID != again.LetterID || other.Again {
		t.Errorf("%+v\n%+v\n%+v", first, again, other)
	}
}

func BenchmarkSettle(b *testing.B) {
	db := storetest.Database(b)
	s := deadletter.New(storetest.Pool(b, db.URL(), "bench", 8))
	b.SetParallelism(4)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := claim(uuid.NewString())
			if _, err := s.Settle(b.Context(), c.Key, always(resolve(c, "expired"))); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}
