package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

func claim(id string) ledger.Claim {
	now := time.Now().Truncate(time.Millisecond).UTC()
	return ledger.Claim{
		Key: ledger.Key{Tenant: "acme", Client: "web", ID: []byte("s:" + id)}, RawID: []byte(`"` + id + `"`),
		CommandID: uuid.New(), Token: uuid.New(), Digest: [32]byte{1}, Device: "lamp-1", DeviceType: "lamp",
		Method: "relay.set", Lane: "default", Timeout: 5 * time.Second, Accepted: now, Deadline: now.Add(time.Minute),
	}
}

// resolve does what a recorder would: letter, audit entry and decision of that reason.
func resolve(c ledger.Claim, reason string) deadletter.Resolution {
	return deadletter.Resolution{
		Letter: &deadletter.Letter{
			Tenant: c.Tenant, CommandID: c.CommandID, Client: c.Client, Device: c.Device, Method: c.Method, Lane: c.Lane,
			ID: c.RawID, Reason: reason, Executed: "no", Payload: []byte("{}"), Headers: []byte("{}"),
		},
		Audit:  []audit.Entry{{Tenant: c.Tenant, Stage: audit.StageRecord, Action: "dead_letter", CommandID: c.CommandID, Detail: reason}},
		Decide: &ledger.Decision{CommandID: c.CommandID, Outcome: []byte(reason), Origin: "platform", Reason: reason},
		Claim:  c,
	}
}

func always(r deadletter.Resolution) func(*ledger.Row) deadletter.Resolution {
	return func(*ledger.Row) deadletter.Resolution { return r }
}

func writer(t *testing.T, pool *postgres.Pool) *ledger.Writer {
	t.Helper()
	w, err := ledger.NewWriter(pool, ledger.Config{BatchTimeout: storetest.Patience}, nil)
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

func count(t *testing.T, pool *postgres.Pool, table string) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSettleWithoutRow(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := deadletter.New(pool)
	c := claim("c-1")
	settled, err := s.Settle(t.Context(), c.Key, func(row *ledger.Row) deadletter.Resolution {
		if row != nil {
			t.Errorf("there is a row: %+v", row)
		}
		return resolve(c, "expired")
	})
	if err != nil || !settled.Decided || settled.Again || settled.LetterID == uuid.Nil {
		t.Fatalf("%+v, %v", settled, err)
	}
	want := c
	want.Token = uuid.Nil
	if diff := cmp.Diff(want, settled.Row.Claim); diff != "" {
		t.Error(diff)
	}
	if !settled.Row.Started.IsZero() || settled.Row.Decided.IsZero() || string(settled.Row.Outcome) != "expired" {
		t.Errorf("the row: %+v", settled.Row)
	}
	again, err := s.Settle(t.Context(), c.Key, always(resolve(c, "worker_lost")))
	if err != nil || again.Decided || !again.Again || again.LetterID != settled.LetterID || string(again.Row.Outcome) != "expired" {
		t.Errorf("delivered again: %+v, %v", again, err)
	}
	if letters, lines := count(t, pool, "dead_letters"), count(t, pool, "audit_trail"); letters != 1 || lines != 1 {
		t.Errorf("%d letters, %d audit entries", letters, lines)
	}
	// A claim that comes late meets the outcome.
	if claimed, err := writer(t, pool).Claim(t.Context(), c); err != nil || claimed.Mine || claimed.Row.Open() {
		t.Errorf("a late claim: %+v, %v", claimed, err)
	}
}

func TestSettleOpenRow(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s, w := deadletter.New(pool), writer(t, pool)
	c := claim("c-1")
	claimed, err := w.Claim(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.Settle(t.Context(), c.Key, always(deadletter.Resolution{Hold: time.Second, Letter: resolve(c, "x").Letter}))
	if err != nil || held.Hold != time.Second || held.Row == nil || count(t, pool, "dead_letters") != 0 {
		t.Errorf("held: %+v, %v", held, err)
	}
	settled, err := s.Settle(t.Context(), c.Key, always(resolve(c, "no_answer")))
	if err != nil || !settled.Decided || settled.Row.Reason != "no_answer" || !settled.Row.Started.Equal(claimed.Row.Started) {
		t.Fatalf("%+v, %v", settled, err)
	}
	if _, won, err := w.Decide(t.Context(), ledger.Decision{Key: c.Key, CommandID: c.CommandID, Outcome: []byte("late")}); won || err != nil {
		t.Errorf("the device's late answer won: %v, %v", won, err)
	}
}

func TestSettleRepeatedPostDecidesNothing(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s, w := deadletter.New(pool), writer(t, pool)
	first := claim("c-1")
	if _, err := w.Claim(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	repeat := first
	repeat.CommandID = uuid.New()
	settled, err := s.Settle(t.Context(), repeat.Key, always(resolve(repeat, "expired")))
	if err != nil || settled.Decided || settled.Row.CommandID != first.CommandID || !settled.Row.Open() {
		t.Errorf("%+v, %v", settled, err)
	}
	if letter, err := s.Get(t.Context(), "acme", settled.LetterID); err != nil || letter.CommandID != repeat.CommandID {
		t.Errorf("its letter: %+v, %v", letter, err)
	}
}

func TestClaimBetweenLookAndWrite(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s, w := deadletter.New(pool), writer(t, pool)
	c := claim("c-1")
	asked := 0
	settled, err := s.Settle(t.Context(), c.Key, func(row *ledger.Row) deadletter.Resolution {
		if asked++; asked == 1 {
			if row != nil {
				t.Errorf("there is a row already: %+v", row)
			}
			if claimed, err := w.Claim(t.Context(), c); err != nil || !claimed.Mine {
				t.Errorf("claim: %+v, %v", claimed, err)
			}
			return resolve(c, "expired")
		}
		if row == nil || row.Token != c.Token {
			t.Errorf("asked again with %+v", row)
		}
		return resolve(c, "worker_lost")
	})
	if err != nil || asked != 2 || !settled.Decided || settled.Row.Reason != "worker_lost" || settled.Again {
		t.Errorf("asked %d times: %+v, %v", asked, settled, err)
	}
	if n := count(t, pool, "audit_trail"); n != 1 {
		t.Errorf("%d audit entries", n)
	}
}

// Workers claim and decide while recorders settle the same commands, some twice at once.
func TestSettleRacesWithWorkers(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	pool := storetest.Pool(t, db.URL(), "race", 12)
	s, w := deadletter.New(pool), writer(t, pool)
	const commands = 150
	claims := make([]ledger.Claim, commands)
	for i := range claims {
		claims[i] = claim(fmt.Sprint("c-", i))
	}
	decided := make([]atomic.Int32, commands)
	mark := func(i int, won bool, err error) {
		if err != nil {
			t.Error(err)
		}
		if won {
			decided[i].Add(1)
		}
	}
	places := make(chan struct{}, 8)
	var racers sync.WaitGroup
	for i, c := range claims {
		racers.Go(func() {
			if _, err := w.Claim(t.Context(), c); err != nil {
				t.Error(err)
			}
			_, won, err := w.Decide(t.Context(), ledger.Decision{Key: c.Key, CommandID: c.CommandID, Outcome: []byte("answer")})
			mark(i, won, err)
		})
		for range 2 {
			racers.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				settled, err := s.Settle(t.Context(), c.Key, always(resolve(c, "worker_lost")))
				mark(i, settled.Decided, err)
			})
		}
	}
	racers.Wait()
	for i := range decided {
		if n := decided[i].Load(); n != 1 {
			t.Errorf("command %d was decided %d times", i, n)
		}
	}
	if letters, lines := count(t, pool, "dead_letters"), count(t, pool, "audit_trail"); letters != commands || lines != commands {
		t.Errorf("%d letters and %d audit entries for %d commands", letters, lines, commands)
	}
}

func TestLostCommitAnswer(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	proxy := db.Proxy(t)
	s := deadletter.New(storetest.Pool(t, db.ProxyURL(proxy), "settle", 1))
	if _, err := s.Settle(t.Context(), claim("warm").Key, always(resolve(claim("warm"), "warm"))); err != nil {
		t.Fatal(err) // prepares the statements, so that the marked one goes with the commit
	}
	c := claim("c-1")
	r := resolve(c, "expired")
	r.Audit[0].Detail = "the marked line"
	lost := proxy.LoseAnswer([]byte("the marked line"))
	if _, err := s.Settle(t.Context(), c.Key, always(r)); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("an answer was lost: %v", err)
	}
	<-lost
	settled, err := s.Settle(t.Context(), c.Key, always(r))
	if err != nil || !settled.Again || settled.Decided || string(settled.Row.Outcome) != "expired" {
		t.Errorf("called again: %+v, %v", settled, err)
	}
	if n := count(t, db.Pool(t), "audit_trail"); n != 2 {
		t.Errorf("%d audit entries, want the warm one and one", n)
	}
}

// A message that is no whole command may name any tenant: one that there is, or the system's.
func TestGarbageOfNoTenantIsTheSystems(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	if _, err := pool.Exec(t.Context(), "insert into tenants (tenant) values ('known')"); err != nil {
		t.Fatal(err)
	}
	s, trail := deadletter.New(pool), audit.New(pool)
	for named, want := range map[string]string{"known": "known", "nobody": topology.SystemTenant} {
		for again := range 2 {
			settled, err := s.Settle(t.Context(), ledger.Key{}, func(*ledger.Row) deadletter.Resolution {
				return deadletter.Resolution{
					Letter: &deadletter.Letter{Tenant: named, Alleged: true, Reason: "undeliverable", Executed: "no", Payload: []byte(named)},
					Audit:  []audit.Entry{{Tenant: named, Stage: audit.StageRecord, Action: "dead_letter", Detail: named}},
				}
			})
			if err != nil || settled.Again != (again == 1) {
				t.Fatalf("%+v, %v", settled, err)
			}
			if l, err := s.Get(t.Context(), want, settled.LetterID); err != nil || string(l.Payload) != named {
				t.Errorf("the letter that named %s: %+v, %v", named, l, err)
			}
		}
		entries, err := trail.List(t.Context(), want, time.Time{}, 10)
		if err != nil || len(entries) != 1 || entries[0].Detail != named {
			t.Errorf("the trail of %s: %+v, %v", want, entries, err)
		}
	}
}
