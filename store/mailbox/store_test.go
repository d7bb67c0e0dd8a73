package mailbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/mailbox"
)

func item(client, response string) mailbox.Item {
	at := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	return mailbox.Item{
		Tenant: "acme", Client: client, CommandID: uuid.New(), RawID: []byte(`"c-1"`), Device: "lamp-1", Method: "relay.set",
		Lane: "default", Origin: "device", Accepted: at, At: at.Add(time.Second), Response: []byte(response),
	}
}

func items(client string, n int) []mailbox.Item {
	out := make([]mailbox.Item, n)
	for i := range out {
		out[i] = item(client, fmt.Sprint(i))
	}
	return out
}

func marks(items ...mailbox.Item) []mailbox.AckMark {
	out := make([]mailbox.AckMark, len(items))
	for i, it := range items {
		out[i] = mailbox.AckMark{Tenant: it.Tenant, Client: it.Client, CommandID: it.CommandID}
	}
	return out
}

func put(t testing.TB, s *mailbox.Store, items ...mailbox.Item) []mailbox.PutResult {
	t.Helper()
	results, err := s.Put(t.Context(), items)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func ack(t testing.TB, s *mailbox.Store, items ...mailbox.Item) {
	t.Helper()
	if err := s.Ack(t.Context(), marks(items...)); err != nil {
		t.Fatal(err)
	}
}

func wantCounts(t testing.TB, s *mailbox.Store, client string, want mailbox.Counts) {
	t.Helper()
	if got, err := s.Counts(t.Context(), "acme", client); err != nil || got != want {
		t.Errorf("counts of %s: %+v, want %+v, %v", client, got, want, err)
	}
}

func TestPutFetchAck(t *testing.T) {
	t.Parallel()
	s := mailbox.New(storetest.Database(t).Pool(t), mailbox.Limits{})
	whole := item("web", `{"id":"\u0000"}`+"\x00\xff")
	whole.RawID, whole.Redrive, whole.Reason = []byte("\x00"), 3, "expired"
	second, others := item("web", "2"), item("app", "3")
	results := put(t, s, whole, second, whole, others)
	want := []mailbox.PutResult{mailbox.Stored, mailbox.Stored, mailbox.Already, mailbox.Stored}
	if diff := cmp.Diff(want, results); diff != "" {
		t.Error(diff)
	}
	got, waiting, err := s.Fetch(t.Context(), "acme", "web", nil, 10, 1<<20)
	if err != nil || waiting != 2 {
		t.Fatalf("waiting %d, %v", waiting, err)
	}
	if diff := cmp.Diff([]mailbox.Item{whole, second}, got, cmpopts.IgnoreFields(whole, "Seq")); diff != "" {
		t.Error(diff)
	}
	if got[0].Seq >= got[1].Seq {
		t.Errorf("seq %d, then %d", got[0].Seq, got[1].Seq)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 2, Bytes: int64(len(whole.Response)) + 1})
	for range 2 { // the second time finds it done
		ack(t, s, whole, item("web", "never put"), item("nobody", ""))
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 1, Bytes: 1})
	if got := put(t, s, whole); got[0] != mailbox.Already {
		t.Errorf("put after its ack: %v", got)
	}
	if got, waiting, err := s.Fetch(t.Context(), "acme", "web", nil, 10, 1<<20); err != nil || waiting != 1 || len(got) != 1 {
		t.Errorf("%v, %d, %v", got, waiting, err)
	}
	if got, waiting, err := s.Fetch(t.Context(), "other", "web", nil, 10, 1<<20); err != nil || waiting != 0 || len(got) != 0 {
		t.Errorf("another tenant: %v, %d, %v", got, waiting, err)
	}
	wantCounts(t, s, "app", mailbox.Counts{Waiting: 1, Bytes: 1})
	wantCounts(t, s, "nobody", mailbox.Counts{})
}

// A look that goes on where everything before is acked finds what one from the beginning finds, but for what is below.
func TestFetchFromWhereAllBeforeIsAcked(t *testing.T) {
	t.Parallel()
	s := mailbox.New(storetest.Database(t).Pool(t), mailbox.Limits{})
	all := []mailbox.Item{item("web", "a"), item("web", "b"), item("web", "c")}
	put(t, s, all...)
	look := func(from int64, excluded ...uuid.UUID) (letters string, waiting, oldest int64) {
		t.Helper()
		got, waiting, oldest, err := s.FetchFrom(t.Context(), "acme", "web", from, excluded, 10, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range got {
			letters += string(it.Response)
		}
		return letters, waiting, oldest
	}
	_, _, first := look(0)
	if letters, waiting, oldest := look(first, all[0].CommandID); letters != "bc" || waiting != 3 || oldest != first {
		t.Errorf("beside one in flight: %q of %d, the oldest is %d and not %d", letters, waiting, oldest, first)
	}
	ack(t, s, all[0])
	letters, waiting, second := look(first)
	if letters != "bc" || waiting != 2 || second <= first {
		t.Errorf("with one acked: %q of %d, the oldest is %d behind %d", letters, waiting, second, first)
	}
	if letters, waiting, oldest := look(second + 1000); letters != "" || waiting != 2 || oldest != 0 {
		t.Errorf("past all: %q of %d, the oldest is %d", letters, waiting, oldest)
	}
}

func TestFetchKeepsToItsWindow(t *testing.T) {
	t.Parallel()
	s := mailbox.New(storetest.Database(t).Pool(t), mailbox.Limits{})
	all := []mailbox.Item{item("web", strings.Repeat("a", 100)), item("web", strings.Repeat("b", 50)), item("web", strings.Repeat("c", 50)), item("web", "d")}
	put(t, s, all...)
	for _, c := range []struct {
		name    string
		exclude []uuid.UUID
		rows    int
		bytes   int64
		want    string
	}{
		{"all", nil, 10, 1000, "abcd"}, {"rows", nil, 2, 1000, "ab"}, {"bytes", nil, 10, 150, "ab"}, {"bytes short of one", nil, 10, 199, "ab"},
		{"one at least", nil, 10, 1, "a"}, {"in flight", []uuid.UUID{all[0].CommandID, all[2].CommandID}, 10, 1000, "bd"},
		{"in flight, one at least", []uuid.UUID{all[0].CommandID}, 10, 0, "b"},
	} {
		got, waiting, err := s.Fetch(t.Context(), "acme", "web", c.exclude, c.rows, c.bytes)
		letters := ""
		for _, it := range got {
			letters += string(it.Response[:1])
		}
		if err != nil || letters != c.want || waiting != 4 {
			t.Errorf("%s: %q of %d, want %q, %v", c.name, letters, waiting, c.want, err)
		}
	}
}

func TestWhatTheLedgerSaysIsDelivered(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := mailbox.New(pool, mailbox.Limits{})
	w, err := ledger.NewWriter(pool, ledger.Config{BatchTimeout: storetest.Patience}, nil)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Started(t, w)
	live, waits := item("web", "live"), item("web", "waits")
	for i, it := range []mailbox.Item{live, waits} {
		key := ledger.Key{Tenant: it.Tenant, Client: it.Client, ID: fmt.Append(nil, i)}
		c := ledger.Claim{Key: key, CommandID: it.CommandID, Token: uuid.New(), Accepted: it.At, Deadline: it.At}
		if _, err := w.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Decide(t.Context(), ledger.Decision{Key: key, CommandID: it.CommandID, Outcome: it.Response}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Delivered(t.Context(), []ledger.DeliveredMark{{Tenant: "acme", Client: "web", CommandID: live.CommandID}}); err != nil {
		t.Fatal(err)
	}
	if got := put(t, s, live, waits); got[0] != mailbox.Delivered || got[1] != mailbox.Stored {
		t.Errorf("put: %v", got)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 1, Bytes: 5})
	ack(t, s, waits)
	row, err := ledger.NewReader(pool).ByCommandID(t.Context(), "acme", "web", waits.CommandID)
	if err != nil || row.Delivered.IsZero() {
		t.Errorf("acked, and the ledger says %+v, %v", row, err)
	}
}

// TestWhatWasGotBeforeItWasStored: a client acks an outcome that was sent live, and the copy that the broker leads to the mailbox
// comes later. The outcome of a repeated post has no row in the ledger that could tell.
func TestWhatWasGotBeforeItWasStored(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := mailbox.New(pool, mailbox.Limits{})
	got, plain := item("web", "1"), item("web", "2")
	early := marks(got, plain)
	early[0].RawID = string(got.RawID)
	for range 2 { // noted again after an answer that was lost
		if err := s.Ack(t.Context(), early); err != nil {
			t.Fatal(err)
		}
	}
	if results := put(t, s, got, plain); results[0] != mailbox.Already || results[1] != mailbox.Stored {
		t.Errorf("put: %v, want what was got known already, and what nobody sent live stored", results)
	}
	fetched, _, err := s.Fetch(t.Context(), "acme", "web", nil, 10, 1<<20)
	if err != nil || len(fetched) != 1 || fetched[0].CommandID != plain.CommandID {
		t.Errorf("fetched %v, %v", fetched, err)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 1, Bytes: 1})
	// With the copy stored first the row is acked, and no other is made.
	late := item("web", "3")
	put(t, s, late)
	after := marks(late)
	after[0].RawID = string(late.RawID)
	if err := s.Ack(t.Context(), after); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 1, Bytes: 1})
}

func TestOverQuotaIsCountedOnce(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := mailbox.New(pool, mailbox.Limits{Outcomes: 3, Bytes: 100})
	fits, big, small, full := item("web", strings.Repeat("x", 60)), item("web", strings.Repeat("x", 41)), items("web", 2), item("web", "y")
	results := put(t, s, fits, big, small[0], small[1], full, big)
	want := []mailbox.PutResult{mailbox.Stored, mailbox.OverQuota, mailbox.Stored, mailbox.Stored, mailbox.OverQuota, mailbox.OverQuota}
	if diff := cmp.Diff(want, results); diff != "" {
		t.Error(diff)
	}
	ack(t, s, fits)
	if got := put(t, s, full, big); got[0] != mailbox.OverQuota || got[1] != mailbox.OverQuota {
		t.Errorf("delivered again, when there is room: %v", got)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 2, Bytes: 2, Missed: 2})
	entries, err := audit.New(pool).List(t.Context(), "acme", time.Time{}, 10)
	if err != nil || len(entries) != 2 || entries[0].Action != "over_quota" || entries[0].CommandID != big.CommandID {
		t.Errorf("audit: %+v, %v", entries, err)
	}
	if got, _, err := s.Fetch(t.Context(), "acme", "web", nil, 10, 1000); err != nil || len(got) != 2 {
		t.Errorf("fetched %d, %v", len(got), err)
	}
}

func TestARefusedItemTakesNobodyDown(t *testing.T) {
	t.Parallel()
	s := mailbox.New(storetest.Database(t).Pool(t), mailbox.Limits{})
	batch := items("web", 5)
	batch[1].Method = "nul\x00"
	batch[2].Tenant, batch[2].Client = "nul\x00", "\xff"
	batch[3].Redrive = 1 << 40
	want := []mailbox.PutResult{mailbox.Stored, mailbox.Refused, mailbox.Refused, mailbox.Refused, mailbox.Stored}
	if diff := cmp.Diff(want, put(t, s, batch...)); diff != "" {
		t.Error(diff)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 2, Bytes: 2})
}

// Many put the same and other outcomes, with their acks and fetches in between, over and under
// the quota: in the end the counts are what the rows say.
func TestCountsStayRight(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	pool := storetest.Pool(t, db.URL(), "counts", 8)
	s := mailbox.New(pool, mailbox.Limits{Outcomes: 40, Bytes: 150})
	var all []mailbox.Item
	for _, client := range []string{"a", "b", "c"} {
		all = append(all, items(client, 120)...)
	}
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 40 {
				batch := make([]mailbox.Item, 1+random.IntN(12))
				for i := range batch {
					batch[i] = all[random.IntN(len(all))]
				}
				var err error
				switch random.IntN(3) {
				case 0:
					err = s.Ack(t.Context(), marks(batch...))
				case 1:
					_, _, err = s.Fetch(t.Context(), "acme", batch[0].Client, nil, 5, 100)
				default:
					_, err = s.Put(t.Context(), batch)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	checkCounts(t, pool)
}

func checkCounts(t *testing.T, pool *postgres.Pool) {
	t.Helper()
	var wrong, missed, clients, lines int64
	err := pool.QueryRow(t.Context(), `select count(*) filter (where c.waiting <> m.waiting or c.bytes <> m.bytes or c.missed <> m.missed),
		sum(c.missed)::bigint, count(*) from mailbox_clients c join (select tenant, client, count(*) filter (where acked_at is null) as waiting,
		coalesce(sum(size) filter (where acked_at is null), 0) as bytes, count(*) filter (where missed) as missed
		from mailbox group by tenant, client) m using (tenant, client)`).Scan(&wrong, &missed, &clients)
	if err != nil || wrong != 0 || clients != 3 || missed == 0 {
		t.Errorf("%d of %d counts are wrong, %d missed, %v", wrong, clients, missed, err)
	}
	if err := pool.QueryRow(t.Context(), "select count(*) from audit_trail").Scan(&lines); err != nil || lines != missed {
		t.Errorf("%d audit entries for %d missed, %v", lines, missed, err)
	}
}

// Several writers put while one session fetches and acks: it gets each outcome once, and all.
func TestNoneIsSkipped(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	s := mailbox.New(storetest.Pool(t, db.URL(), "skip", 8), mailbox.Limits{})
	const writers, each = 4, 100
	var workers sync.WaitGroup
	for range writers {
		workers.Go(func() {
			all := items("web", each)
			for from := 0; from < each; from += 5 {
				if _, err := s.Put(t.Context(), all[from:from+5]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[uuid.UUID]bool{}
	storetest.Eventually(t, "every outcome was fetched", func() bool {
		got, _, err := s.Fetch(t.Context(), "acme", "web", nil, 16, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range got {
			if seen[it.CommandID] {
				t.Errorf("%s was fetched after its ack", it.CommandID)
			}
			seen[it.CommandID] = true
		}
		ack(t, s, got...)
		return len(seen) == writers*each
	})
	workers.Wait()
	wantCounts(t, s, "web", mailbox.Counts{})
}

func TestLostCommitAnswer(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	proxy := db.Proxy(t)
	s := mailbox.New(storetest.Pool(t, db.ProxyURL(proxy), "mailbox", 1), mailbox.Limits{})
	put(t, s, item("warm", "prepares the statements, so that the next goes with its commit"))
	it := item("web", "the marked response")
	lost := proxy.LoseAnswer(it.Response)
	if _, err := s.Put(t.Context(), []mailbox.Item{it}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("an answer was lost: %v", err)
	}
	<-lost
	if got := put(t, s, it); got[0] != mailbox.Already {
		t.Errorf("called again: %v", got)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 1, Bytes: int64(len(it.Response))})
	proxy.Refuse()
	if _, err := s.Put(t.Context(), []mailbox.Item{it}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the database is away: %v", err)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := mailbox.New(pool, mailbox.Limits{})
	all := items("web", 5)
	put(t, s, all...)
	ack(t, s, all[0], all[1])
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	forget := func(before time.Time) int64 {
		t.Helper()
		n, err := s.ForgetAcked(t.Context(), before, 10)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	expire := func(tenant string, before time.Time) int64 {
		t.Helper()
		n, err := s.Expire(t.Context(), tenant, before, 2)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := forget(past) + expire("acme", past) + expire("other", future); n != 0 {
		t.Errorf("%d before their time", n)
	}
	if n := forget(future); n != 2 {
		t.Errorf("%d acked", n)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 3, Bytes: 3})
	if n := expire("acme", future); n != 2 {
		t.Errorf("%d overdue", n)
	}
	wantCounts(t, s, "web", mailbox.Counts{Waiting: 1, Bytes: 1, Missed: 2})
	got, _, err := s.Fetch(t.Context(), "acme", "web", nil, 10, 1000)
	if err != nil || len(got) != 1 || got[0].CommandID != all[4].CommandID {
		t.Errorf("what is left: %+v, %v", got, err)
	}
	entries, err := audit.New(pool).List(t.Context(), "acme", time.Time{}, 10)
	if err != nil || len(entries) != 2 || entries[0].Action != "retention_ended" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
}
