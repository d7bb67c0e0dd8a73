package ledger_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

func TestLostCommitAnswer(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	proxy := db.Proxy(t)
	w := writer(t, storetest.Pool(t, db.ProxyURL(proxy), "ledger", 1), ledger.Config{Connections: 1})
	r := ledger.NewReader(db.Pool(t))
	mustClaim(t, w, claim("web", "warm")) // prepares the statement, so that the next is the commit itself
	warm := claim("web", "warm-2")
	mustClaim(t, w, warm)
	if _, _, err := w.Decide(t.Context(), decision(warm, "{}")); err != nil {
		t.Fatal(err)
	}

	c := claim("web", "lost-claim")
	lost := proxy.LoseAnswer(c.ID)
	if _, err := w.Claim(t.Context(), c); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("a claim whose answer is lost: %v", err)
	}
	<-lost
	committed, err := r.Get(t.Context(), c.Key)
	if err != nil {
		t.Fatalf("the claim was not committed: %v", err)
	}
	again := mustClaim(t, w, c)
	if !again.Mine || !again.Row.Started.Equal(committed.Started) {
		t.Errorf("called again: mine %v, started %v, want %v", again.Mine, again.Row.Started, committed.Started)
	}

	if _, _, err := w.Decide(t.Context(), decision(warm, "prepared anew on this connection")); err != nil {
		t.Fatal(err)
	}
	lost = proxy.LoseAnswer([]byte("the one outcome"))
	if _, _, err := w.Decide(t.Context(), decision(c, "the one outcome")); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("a decision whose answer is lost: %v", err)
	}
	<-lost
	row, won, err := w.Decide(t.Context(), decision(c, "another outcome"))
	if err != nil || won || string(row.Outcome) != "the one outcome" {
		t.Errorf("called again: won %v, %q, %v", won, row.Outcome, err)
	}
}

func TestDatabaseAwayAndBack(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	proxy := db.Proxy(t)
	w := writer(t, storetest.Pool(t, db.ProxyURL(proxy), "ledger", 2), ledger.Config{BatchTimeout: time.Second})
	c := claim("web", "c-1")
	for name, fault := range map[string]func(){"refused": proxy.Refuse, "stalled": proxy.Stall} {
		fault()
		if _, err := w.Claim(t.Context(), c); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		proxy.Heal()
		deadline := time.Now().Add(storetest.Patience)
		for {
			claimed, err := w.Claim(t.Context(), c)
			if err == nil && !claimed.Mine {
				t.Errorf("%s: the claim is another's", name)
			}
			if err == nil || time.Now().After(deadline) {
				if err != nil {
					t.Errorf("%s: not back: %v", name, err)
				}
				break
			}
		}
	}
}

func TestEndedCallerLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	w, err := ledger.NewWriter(pool, ledger.Config{Queue: 1, BatchTimeout: storetest.Patience}, nil)
	if err != nil {
		t.Fatal(err)
	}
	short := func() context.Context {
		// Long enough for the first to be in the queue when it ends, or the second would find room.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	waits, full := claim("web", "waits"), claim("web", "full")
	if _, err := w.Claim(short(), waits); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a claim that nobody takes: %v", err)
	}
	if _, err := w.Claim(short(), full); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "place in the queue") {
		t.Errorf("a claim that finds the queue full: %v", err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClaim(t, w, claim("web", "later")) // goes behind them
	for _, c := range []ledger.Claim{waits, full} {
		if _, err := ledger.NewReader(pool).Get(t.Context(), c.Key); !errors.Is(err, ledger.ErrNoRow) {
			t.Errorf("%s was written after its caller had gone: %v", c.ID, err)
		}
	}
	for range 2 {
		if err := w.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Claim(t.Context(), waits); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a claim after the end: %v", err)
	}
}

func TestStopFinishesWhatWaits(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	w, err := ledger.NewWriter(pool, ledger.Config{Connections: 1, MaxBatch: 2, BatchTimeout: storetest.Patience}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 50
	entered, answered := make(chan struct{}, n), make(chan error, n)
	for i := range n {
		go func() {
			entered <- struct{}{}
			_, err := w.Claim(t.Context(), claim("web", strings.Repeat("x", i+1)))
			answered <- err
		}()
	}
	for range n {
		<-entered
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var done int64
	for range n {
		switch err := <-answered; {
		case err == nil:
			done++
		case !errors.Is(err, store.ErrUnavailable):
			t.Errorf("a claim at the end: %v", err)
		}
	}
	var rows int64
	if err := pool.QueryRow(t.Context(), "select count(*) from ledger").Scan(&rows); err != nil || rows != done {
		t.Errorf("%d rows for %d answers, %v", rows, done, err)
	}
}

func TestHardStopCutsOff(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	proxy := db.Proxy(t)
	pool := storetest.Pool(t, db.ProxyURL(proxy), "ledger", 1)
	w, err := ledger.NewWriter(pool, ledger.Config{BatchTimeout: time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustClaim(t, w, claim("web", "warm"))
	proxy.Stall()
	answered := make(chan error, 1)
	go func() {
		_, err := w.Claim(t.Context(), claim("web", "stuck"))
		answered <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.Stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
	if err := <-answered; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the stuck claim: %v", err)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := ledger.NewWriter(&postgres.Pool{}, ledger.Config{Connections: 5, MaxBatch: 257, Queue: -1, BatchTimeout: time.Hour}, nil)
	for _, word := range []string{"connections 5", "batch 257", "queue -1", "timeout 1h"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q is missing in: %v", word, err)
		}
	}
}
