package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

// modelRow is what a row has to be, by the rules of DESIGN section 5.
type modelRow struct {
	command, token uuid.UUID
	outcome        string // "" while open
	delivered      bool
}

// Any sequence of writes, each maybe made twice as after a lost answer, gives what the model says.
func TestSequencesFollowTheRules(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	w, r := writer(t, pool, ledger.Config{Connections: 1}), ledger.NewReader(pool)
	commands := []uuid.UUID{uuid.New(), uuid.New()}
	tokens := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		client := fmt.Sprint("run-", run)
		model := map[string]*modelRow{}
		at := func() (ledger.Claim, *modelRow) {
			c := claim(client, rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "id"))
			c.CommandID = rapid.SampledFrom(commands).Draw(rt, "command")
			c.Token = rapid.SampledFrom(tokens).Draw(rt, "token")
			return c, model[string(c.ID)]
		}
		rt.Repeat(map[string]func(*rapid.T){
			"claim": func(rt *rapid.T) {
				c, m := at()
				claimed, err := w.Claim(t.Context(), c)
				if err != nil {
					rt.Fatal(err)
				}
				if m == nil {
					m = &modelRow{command: c.CommandID, token: c.Token}
					model[string(c.ID)] = m
				}
				if claimed.Mine != (m.token == c.Token) {
					rt.Fatalf("mine %v", claimed.Mine)
				}
				check(rt, claimed.Row, m)
			},
			"decide": func(rt *rapid.T) {
				c, m := at()
				outcome := rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "outcome")
				row, won, err := w.Decide(t.Context(), decision(c, outcome))
				if m == nil {
					if !errors.Is(err, ledger.ErrNoRow) {
						rt.Fatal(err)
					}
					return
				}
				should := m.outcome == "" && m.command == c.CommandID
				if should {
					m.outcome = outcome
				}
				if err != nil || won != should {
					rt.Fatalf("won %v, want %v, %v", won, should, err)
				}
				check(rt, row, m)
			},
			"reclaim": func(rt *rapid.T) {
				c, m := at()
				fresh := rapid.SampledFrom(tokens).Draw(rt, "fresh")
				_, ok, err := w.Reclaim(t.Context(), c.Key, c.CommandID, c.Token, fresh)
				should := m != nil && m.outcome == "" && m.command == c.CommandID && (m.token == c.Token || m.token == fresh)
				if should {
					m.token = fresh
				}
				if err != nil || ok != should {
					rt.Fatalf("ok %v, want %v, %v", ok, should, err)
				}
			},
			"deliver": func(rt *rapid.T) {
				c, _ := at()
				mark := ledger.DeliveredMark{Tenant: c.Tenant, Client: c.Client, CommandID: c.CommandID}
				if err := w.Delivered(t.Context(), []ledger.DeliveredMark{mark}); err != nil {
					rt.Fatal(err)
				}
				for _, m := range model {
					m.delivered = m.delivered || m.outcome != "" && m.command == c.CommandID
				}
			},
			"": func(rt *rapid.T) {
				for id, m := range model {
					row, err := r.Get(t.Context(), ledger.Key{Tenant: "acme", Client: client, ID: []byte(id)})
					if err != nil {
						rt.Fatal(err)
					}
					check(rt, row, m)
				}
			},
		})
	})
}

func check(rt *rapid.T, row ledger.Row, m *modelRow) {
	if row.CommandID != m.command || row.Token != m.token || string(row.Outcome) != m.outcome ||
		row.Open() != (m.outcome == "") || row.Decided.IsZero() != (m.outcome == "") || row.Delivered.IsZero() == m.delivered {
		rt.Fatalf("the row is %+v, want %+v", row, m)
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	w, r := writer(t, pool, ledger.Config{}), ledger.NewReader(pool)
	first, second, other := claim("web", "c-1"), claim("web", "c-1"), claim("web", "c-2")
	second.Redrive = 1
	for _, c := range []ledger.Claim{second, first, other} {
		mustClaim(t, w, c)
	}
	rows, err := r.ByID(t.Context(), "acme", "web", first.ID)
	if err != nil || len(rows) != 2 || rows[0].CommandID != first.CommandID || rows[1].CommandID != second.CommandID {
		t.Errorf("by id: %+v, %v", rows, err)
	}
	row, err := r.ByCommandID(t.Context(), "acme", "web", second.CommandID)
	if err != nil || row.Redrive != 1 {
		t.Errorf("by command id: %+v, %v", row, err)
	}
	for _, who := range [][2]string{{"other", "web"}, {"acme", "app"}} {
		if _, err := r.ByCommandID(t.Context(), who[0], who[1], first.CommandID); !errors.Is(err, ledger.ErrNoRow) {
			t.Errorf("%s sees another's command: %v", who, err)
		}
		if rows, err := r.ByID(t.Context(), who[0], who[1], first.ID); err != nil || len(rows) != 0 {
			t.Errorf("%s sees another's id: %v, %v", who, rows, err)
		}
	}
}

// Each tenant's decided rows go at their own time, stretch by stretch; open ones never.
func TestForgetTheDecidedOnly(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	w, r := writer(t, pool, ledger.Config{}), ledger.NewReader(pool)
	var last ledger.Row
	for _, tenant := range []string{"acme", "other", "third"} {
		for i := range 3 {
			c := claim("web", fmt.Sprint(tenant, i))
			c.Tenant = tenant
			mustClaim(t, w, c)
			if i == 1 {
				continue // it stays open
			}
			row, _, err := w.Decide(t.Context(), decision(c, "{}"))
			if err != nil {
				t.Fatal(err)
			}
			last = row
		}
	}
	early, late := last.Decided.Add(-time.Hour), last.Decided.Add(time.Hour)
	before := ledger.Before{Tenants: map[string]time.Time{"acme": late, "other": early}, Otherwise: early}
	forget := func(limit int) (all int64) {
		t.Helper()
		var from time.Time
		for range 100 {
			gone, next, err := r.Forget(t.Context(), from, before, limit)
			if err != nil {
				t.Fatal(err)
			}
			all += gone
			if next.IsZero() {
				return all
			}
			from = next
		}
		t.Fatal("it never ends")
		return all
	}
	if n := forget(2); n != 2 {
		t.Errorf("forgot %d of acme", n)
	}
	before.Otherwise = late
	if n := forget(1); n != 2 {
		t.Errorf("forgot %d of third, which has no term of its own", n)
	}
	before.Tenants["other"] = late
	if n := forget(100); n != 2 {
		t.Errorf("forgot %d of other", n)
	}
	rows, err := r.Open(t.Context(), early, late, 10)
	if err != nil || len(rows) != 3 {
		t.Errorf("open rows: %+v, %v", rows, err)
	}
}
