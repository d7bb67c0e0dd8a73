package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

// writer runs until the test ends. A batch has a minute where the test does not say otherwise.
func writer(t testing.TB, pool *postgres.Pool, cfg ledger.Config) *ledger.Writer {
	t.Helper()
	if cfg.BatchTimeout == 0 {
		cfg.BatchTimeout = storetest.Patience
	}
	w, err := ledger.NewWriter(pool, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), storetest.Patience)
		defer cancel()
		if err := w.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

func decision(c ledger.Claim, outcome string) ledger.Decision {
	return ledger.Decision{Key: c.Key, CommandID: c.CommandID, Outcome: []byte(outcome), Origin: "device"}
}

func mustClaim(t testing.TB, w *ledger.Writer, c ledger.Claim) ledger.Claimed {
	t.Helper()
	claimed, err := w.Claim(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return claimed
}

func TestClaimConflicts(t *testing.T) {
	t.Parallel()
	w := writer(t, storetest.Database(t).Pool(t), ledger.Config{})
	for _, decided := range []bool{false, true} {
		first := claim("web", fmt.Sprint("c-", decided))
		if got := mustClaim(t, w, first); !got.Mine || got.Row.Started.IsZero() || !got.Row.Open() {
			t.Fatalf("the first claim: %+v", got)
		}
		if decided {
			if _, won, err := w.Decide(t.Context(), decision(first, "{}")); err != nil || !won {
				t.Fatal(won, err)
			}
		}
		for name, change := range map[string]func(*ledger.Claim){
			"own token":               func(*ledger.Claim) {},
			"another token":           func(c *ledger.Claim) { c.Token = uuid.New() },
			"another command":         func(c *ledger.Claim) { c.Token, c.CommandID = uuid.New(), uuid.New() },
			"another body":            func(c *ledger.Claim) { c.Token, c.CommandID, c.Digest = uuid.New(), uuid.New(), [32]byte{2} },
			"own token, another body": func(c *ledger.Claim) { c.Digest = [32]byte{2} },
		} {
			again := first
			change(&again)
			got := mustClaim(t, w, again)
			if want := again.Token == first.Token; got.Mine != want {
				t.Errorf("decided %v, %s: mine %v, want %v", decided, name, got.Mine, want)
			}
			if diff := cmp.Diff(first, got.Row.Claim); diff != "" {
				t.Errorf("decided %v, %s: not the first row (-want +got):\n%s", decided, name, diff)
			}
			if got.Row.Open() == decided {
				t.Errorf("decided %v, %s: open %v", decided, name, got.Row.Open())
			}
		}
		redriven := first
		redriven.Redrive, redriven.CommandID, redriven.Token = 1, uuid.New(), uuid.New()
		other := first
		other.Client, other.Token = "app", uuid.New()
		for _, c := range []ledger.Claim{redriven, other} {
			if !mustClaim(t, w, c).Mine {
				t.Errorf("redrive %d of client %s is not a row of its own", c.Redrive, c.Client)
			}
		}
	}
}

func TestBytesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	w := writer(t, pool, ledger.Config{})
	c := claim("web", "\x00\xff\xfe")
	c.RawID = []byte("\"\\u0000\x00\xff\"")
	c.Idempotent, c.OneWay = true, true
	mustClaim(t, w, c)
	if _, _, err := w.Decide(t.Context(), decision(c, "")); err != nil {
		t.Fatal(err)
	}
	row, err := ledger.NewReader(pool).Get(t.Context(), c.Key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, row.Claim); diff != "" {
		t.Error(diff)
	}
	if row.Open() || len(row.Outcome) != 0 {
		t.Errorf("an empty outcome came back as %v", row.Outcome)
	}
}

func TestDecideStandsOnce(t *testing.T) {
	t.Parallel()
	w := writer(t, storetest.Database(t).Pool(t), ledger.Config{})
	c := claim("web", "c-1")
	if _, _, err := w.Decide(t.Context(), decision(c, "early")); !errors.Is(err, ledger.ErrNoRow) {
		t.Errorf("deciding what was never claimed: %v", err)
	}
	mustClaim(t, w, c)
	foreign := decision(c, "foreign")
	foreign.CommandID = uuid.New()
	if row, won, err := w.Decide(t.Context(), foreign); err != nil || won || !row.Open() || row.CommandID != c.CommandID {
		t.Errorf("another command's decision: won %v, %v, %+v", won, err, row)
	}
	first, won, err := w.Decide(t.Context(), decision(c, "first"))
	if err != nil || !won || string(first.Outcome) != "first" || first.Decided.IsZero() {
		t.Fatalf("won %v, %v, %+v", won, err, first)
	}
	second, won, err := w.Decide(t.Context(), decision(c, "second"))
	if err != nil || won {
		t.Fatalf("won %v, %v", won, err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the outcome changed (-first +second):\n%s", diff)
	}
	if _, _, err := w.Decide(t.Context(), ledger.Decision{Key: c.Key, CommandID: c.CommandID}); !errors.Is(err, store.ErrRefused) {
		t.Errorf("a decision without outcome: %v", err)
	}
}

func TestReclaim(t *testing.T) {
	t.Parallel()
	w := writer(t, storetest.Database(t).Pool(t), ledger.Config{})
	c := claim("web", "c-1")
	began := mustClaim(t, w, c).Row.Started
	fresh := uuid.New()
	if _, ok, err := w.Reclaim(t.Context(), c.Key, c.CommandID, uuid.New(), fresh); ok || err != nil {
		t.Errorf("reclaimed from a token that does not hold it: %v, %v", ok, err)
	}
	for range 2 { // the second time: the first answer was lost
		row, ok, err := w.Reclaim(t.Context(), c.Key, c.CommandID, c.Token, fresh)
		if err != nil || !ok || row.Token != fresh || !row.Started.After(began) {
			t.Errorf("reclaim: %v, %v, %+v", ok, err, row)
		}
	}
	if _, _, err := w.Decide(t.Context(), decision(c, "done")); err != nil {
		t.Fatal(err)
	}
	row, ok, err := w.Reclaim(t.Context(), c.Key, c.CommandID, fresh, uuid.New())
	if err != nil || ok || string(row.Outcome) != "done" {
		t.Errorf("reclaimed what is decided: %v, %v, %+v", ok, err, row)
	}
}

func TestDeliveredMarksDecidedRowsOnce(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	w, r := writer(t, pool, ledger.Config{}), ledger.NewReader(pool)
	open, decided := claim("web", "open"), claim("web", "decided")
	mustClaim(t, w, open)
	mustClaim(t, w, decided)
	if _, _, err := w.Decide(t.Context(), decision(decided, "{}")); err != nil {
		t.Fatal(err)
	}
	mark := func(c ledger.Claim, tenant string) ledger.DeliveredMark {
		return ledger.DeliveredMark{Tenant: tenant, Client: c.Client, CommandID: c.CommandID}
	}
	if err := w.Delivered(t.Context(), []ledger.DeliveredMark{mark(decided, "other")}); err != nil {
		t.Fatal(err)
	}
	if row, _ := r.Get(t.Context(), decided.Key); !row.Delivered.IsZero() {
		t.Error("another tenant's mark counted")
	}
	marks := []ledger.DeliveredMark{mark(open, "acme"), mark(decided, "acme"), mark(claim("web", "gone"), "acme")}
	var first time.Time
	for range 2 {
		if err := w.Delivered(t.Context(), marks); err != nil {
			t.Fatal(err)
		}
		row, err := r.Get(t.Context(), decided.Key)
		if err != nil || row.Delivered.IsZero() || !first.IsZero() && !first.Equal(row.Delivered) {
			t.Errorf("delivered %v after %v, %v", row.Delivered, first, err)
		}
		first = row.Delivered
	}
	if row, _ := r.Get(t.Context(), open.Key); !row.Delivered.IsZero() {
		t.Error("an open row is marked as delivered")
	}
}

// Two processes claim, decide and mark the same keys, in opposite orders and large batches.
func TestTwoWritersOnTheSameKeys(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	const keys = 400
	claims := make([]ledger.Claim, keys)
	for i := range claims {
		claims[i] = claim("web", fmt.Sprintf("c-%04d", i*7919%keys))
	}
	var mu sync.Mutex
	mine, won := map[string]int{}, map[string]int{}
	var racers sync.WaitGroup
	for racer := range 2 {
		w := writer(t, storetest.Pool(t, db.URL(), "racer", 4), ledger.Config{Connections: 4, MaxBatch: 64})
		order := slices.Clone(claims)
		if racer == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			c.Token = uuid.New() // each its own delivery
			racers.Go(func() {
				claimed, err := w.Claim(t.Context(), c)
				if err != nil {
					t.Error(err)
					return
				}
				_, decided, err := w.Decide(t.Context(), decision(c, "{}"))
				if err != nil {
					t.Error(err)
					return
				}
				mark := ledger.DeliveredMark{Tenant: c.Tenant, Client: c.Client, CommandID: c.CommandID}
				if err := w.Delivered(t.Context(), []ledger.DeliveredMark{mark}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if claimed.Mine {
					mine[string(c.ID)]++
				}
				if decided {
					won[string(c.ID)]++
				}
			})
		}
	}
	racers.Wait()
	for _, c := range claims {
		if id := string(c.ID); mine[id] != 1 || won[id] != 1 {
			t.Errorf("%s: claimed by %d, decided by %d, want one of each", id, mine[id], won[id])
		}
	}
}
