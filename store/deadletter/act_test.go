package deadletter_test

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/internal/storetest"
)

var byAnn = deadletter.Act{Actor: "ann", Reason: "the lamp is back"}

func plan() deadletter.Plan {
	return deadletter.Plan{CommandID: uuid.New(), Lane: "default", DeviceType: "lamp", Driver: "mqtt", Timeout: time.Second, TTL: time.Minute}
}

func TestRedriveStepByStep(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := deadletter.New(pool)
	id := bury(t, s, nil)
	first := plan()
	begun, err := s.Begin(t.Context(), "acme", id, byAnn, first, []byte("s:c-1"))
	if err != nil || begun.Number != 1 || !reflect.DeepEqual(begun.Plan, first) || string(begun.Letter.Payload) != `{"method":"relay.set"}` || begun.Letter.State != deadletter.Redriving {
		t.Fatalf("%+v, %v", begun, err)
	}
	var state *deadletter.StateError
	if _, err := s.Begin(t.Context(), "acme", id, byAnn, plan(), nil); !errors.As(err, &state) || state.Letter.ChangedBy != "ann" {
		t.Errorf("a second operator: %v", err)
	}
	if _, err := s.Discard(t.Context(), "acme", id, byAnn); !errors.As(err, &state) || state.Letter.State != deadletter.Redriving {
		t.Errorf("a discard meanwhile: %v", err)
	}
	// Another letter of the same id gets another number.
	other := bury(t, s, nil)
	second, err := s.Begin(t.Context(), "acme", other, byAnn, plan(), []byte("s:c-1"))
	if err != nil || second.Number != 2 {
		t.Errorf("%+v, %v", second, err)
	}
	for range 2 {
		if err := s.Revert(t.Context(), &second, "queue full"); err != nil {
			t.Error(err)
		}
		if err := s.Confirm(t.Context(), &begun); err != nil {
			t.Error(err)
		}
	}
	for letter, want := range map[uuid.UUID]string{id: deadletter.Redriven, other: deadletter.Open} {
		if l, err := s.Get(t.Context(), "acme", letter); err != nil || l.State != want || (l.RedrivenAs == uuid.Nil) != (want == deadletter.Open) {
			t.Errorf("%+v, %v", l, err)
		}
	}
	if _, err := s.Discard(t.Context(), "acme", other, byAnn); err != nil {
		t.Error(err)
	}
	for name, tenant := range map[string]string{"another tenant's": "other", "nobody's": "acme"} {
		letter := other
		if name == "nobody's" {
			letter = uuid.New()
		}
		if _, err := s.Discard(t.Context(), tenant, letter, byAnn); !errors.Is(err, deadletter.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	entries, _, err := audit.New(pool).Search(t.Context(), audit.Filter{Tenant: "acme", Actor: "ann"}, nil, 100)
	actions := map[string]int{}
	for _, e := range entries {
		actions[e.Action]++
		if e.Stage != audit.StageOperator || e.Device != "lamp-1" || e.CommandID == uuid.Nil {
			t.Errorf("%+v", e)
		}
	}
	if err != nil || fmt.Sprint(actions) != "map[discard:1 redrive:2 redrive_refused:1 redriven:1]" {
		t.Errorf("%v, %v", actions, err)
	}
}

// Whoever died while it redrove is followed by one other, with the very same command.
func TestTakeUpAfterACrash(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := deadletter.New(pool)
	id := bury(t, s, nil)
	begun, err := s.Begin(t.Context(), "acme", id, byAnn, plan(), []byte("s:c-1"))
	if err != nil {
		t.Fatal(err)
	}
	if taken, err := s.TakeUp(t.Context(), 10); err != nil || len(taken) != 0 {
		t.Fatalf("taken from one who lives: %+v, %v", taken, err)
	}
	if _, err := pool.Exec(t.Context(), "update dead_letters set leased_until = now() - interval '1s'"); err != nil {
		t.Fatal(err)
	}
	var takers sync.WaitGroup
	var taken atomic.Int32
	for range 4 {
		takers.Go(func() {
			got, err := s.TakeUp(t.Context(), 10)
			if err != nil {
				t.Error(err)
			}
			for _, r := range got {
				taken.Add(1)
				if !reflect.DeepEqual(r.Plan, begun.Plan) || r.Number != begun.Number || string(r.Letter.Payload) != string(begun.Letter.Payload) || r.Letter.ChangedBy != "ann" {
					t.Errorf("taken up as %+v", r)
				}
			}
		})
	}
	takers.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("taken up %d times", n)
	}
}

// Of operators who act at once one wins, and the numbers of one id's redrives are all different.
func TestOperatorsAtOnce(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	s := deadletter.New(storetest.Pool(t, db.URL(), "desk", 8))
	const letters = 6
	var ids []uuid.UUID
	for range letters {
		ids = append(ids, bury(t, s, nil))
	}
	var mu sync.Mutex
	numbers, wins := map[int]int{}, map[uuid.UUID]int{}
	var operators sync.WaitGroup
	for _, id := range ids {
		for o := range 4 {
			operators.Go(func() {
				var number int
				var err error
				if o%2 == 0 {
					var r deadletter.Redrive
					r, err = s.Begin(t.Context(), "acme", id, byAnn, plan(), []byte("s:c-1"))
					number = r.Number
				} else {
					_, err = s.Discard(t.Context(), "acme", id, byAnn)
				}
				var lost *deadletter.StateError
				if err != nil && !errors.As(err, &lost) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					wins[id]++
					numbers[number]++
				}
			})
		}
	}
	operators.Wait()
	for _, id := range ids {
		if wins[id] != 1 {
			t.Errorf("%d operators won", wins[id])
		}
	}
	for number, n := range numbers {
		if number > 0 && n != 1 {
			t.Errorf("redrive %d was given %d times", number, n)
		}
	}
}
