package deadletter_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// bury writes a letter of tenant acme as the recorder does, and returns its id.
func bury(t *testing.T, s *deadletter.Store, change func(*deadletter.Letter)) uuid.UUID {
	t.Helper()
	l := deadletter.Letter{
		Tenant: "acme", CommandID: uuid.New(), Client: "web", Device: "lamp-1", DeviceType: "lamp", Method: "relay.set",
		Lane: "default", ID: []byte(`"c-1"`), Reason: "expired", Executed: "no", Payload: []byte(`{"method":"relay.set"}`),
		Properties: []byte("{}"), Headers: []byte("{}"), Deaths: []byte("[]"), DiedAt: noon,
	}
	if change != nil {
		change(&l)
	}
	settled, err := s.Settle(t.Context(), ledger.Key{}, always(deadletter.Resolution{Letter: &l}))
	if err != nil {
		t.Fatal(err)
	}
	return settled.LetterID
}

func TestFindByEachField(t *testing.T) {
	t.Parallel()
	s := deadletter.New(storetest.Database(t).Pool(t))
	command := uuid.New()
	bury(t, s, nil)
	want := bury(t, s, func(l *deadletter.Letter) {
		*l = deadletter.Letter{
			Tenant: "acme", CommandID: command, Client: "app", Device: "door-1", DeviceType: "door", Method: "open", Lane: "slow",
			ID: []byte("42"), Reason: "no_answer", Executed: "maybe", Detail: `Device "door-1" said 7`, Payload: []byte(`{"x":"Needle"}`), DiedAt: noon.Add(time.Hour),
		}
	})
	bury(t, s, func(l *deadletter.Letter) { l.Tenant, l.Device = "other", "door-1" })
	whole, err := s.Get(t.Context(), "acme", want)
	if err != nil || whole.Cause != `Device "..." said #` {
		t.Fatalf("%+v, %v", whole, err)
	}
	for name, f := range map[string]deadletter.Filter{
		"from": {From: noon.Add(time.Minute)}, "reason": {Reason: "no_answer"}, "executed": {Executed: "maybe"}, "lane": {Lane: "slow"},
		"device": {Device: "door-1"}, "type": {DeviceType: "door"}, "method": {Method: "open"}, "client": {Client: "app"},
		"id": {ID: "42"}, "command": {CommandID: command}, "group": {Group: whole.Group}, "payload": {Text: "Needle"},
		"detail": {Text: "device \"DOOR"}, "two": {Device: "door-1", State: deadletter.Open},
	} {
		f.Tenant = "acme"
		page, err := s.Find(t.Context(), f, deadletter.Newest, nil, 10)
		if err != nil || len(page.Letters) != 1 || page.Letters[0].LetterID != want || page.Next != nil {
			t.Errorf("%s: %+v, %v", name, page, err)
		}
	}
	for name, f := range map[string]deadletter.Filter{
		"before": {Before: noon}, "state": {State: deadletter.Discarded}, "case": {Text: "needle"}, "both": {Device: "door-1", Client: "web"},
	} {
		f.Tenant = "acme"
		if page, err := s.Find(t.Context(), f, deadletter.Newest, nil, 10); err != nil || len(page.Letters) != 0 {
			t.Errorf("%s: %+v, %v", name, page, err)
		}
	}
	counts, _, err := s.Counts(t.Context(), deadletter.Filter{Tenant: "acme"}, 0)
	if err != nil || counts[deadletter.Open] != 2 || counts[deadletter.Redriven] != 0 {
		t.Errorf("%v, %v", counts, err)
	}
}

// A walk meets each letter that was there once, in order, while others arrive on every side.
func TestPagesStayRightWhileLettersArrive(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := deadletter.New(pool)
	for _, sort := range []deadletter.Sort{"-died_at", "died_at", "device", "-method", "reason", "-client"} {
		t.Run(string(sort), func(t *testing.T) {
			tenant := "t-" + uuid.NewString()[:8]
			add := func(i int) uuid.UUID {
				return bury(t, s, func(l *deadletter.Letter) {
					l.Tenant, l.DiedAt = tenant, noon.Add(time.Duration(i/3)*time.Second) // times that are the same
					l.Device, l.Method, l.Client = fmt.Sprint("d-", i%4), fmt.Sprint("m-", i%3), fmt.Sprint("c-", i%2)
				})
			}
			met := map[uuid.UUID]int{}
			for i := range 25 {
				met[add(i)] = 0
			}
			var after *deadletter.Cursor
			for pages := 0; ; pages++ {
				page, err := s.Find(t.Context(), deadletter.Filter{Tenant: tenant}, sort, after, 4)
				if err != nil || pages > 40 {
					t.Fatal(pages, err)
				}
				for _, l := range page.Letters {
					if _, old := met[l.LetterID]; old {
						met[l.LetterID]++
					}
				}
				if page.Next == nil {
					break
				}
				read, err := deadletter.ParseCursor(page.Next.String(), sort)
				if err != nil || read != *page.Next {
					t.Fatalf("%+v came back as %+v, %v", page.Next, read, err)
				}
				after = &read
				if pages < 3 {
					add(2 * pages)
				}
			}
			for id, n := range met {
				if n != 1 {
					t.Errorf("%s was met %d times", id, n)
				}
			}
		})
	}
	for _, text := range []string{"", "x", "e30", deadletter.Cursor{Sort: "device", LetterID: uuid.New(), DiedAt: noon}.String()} {
		if _, err := deadletter.ParseCursor(text, deadletter.Newest); !errors.Is(err, deadletter.ErrCursor) {
			t.Errorf("%q was taken: %v", text, err)
		}
	}
}

// An incident reads as one line.
func TestGroups(t *testing.T) {
	t.Parallel()
	s := deadletter.New(storetest.Database(t).Pool(t))
	for i := range 5 {
		bury(t, s, func(l *deadletter.Letter) {
			l.Reason, l.Executed, l.Detail, l.DiedAt = "no_answer", "maybe", fmt.Sprintf("%s waited %d ms for \"lamp-%d\"", uuid.New(), i, i), time.Time{}
		})
	}
	bury(t, s, nil)
	groups, _, err := s.Groups(t.Context(), deadletter.Filter{Tenant: "acme"}, 10, 0)
	if err != nil || len(groups) != 2 {
		t.Fatalf("%+v, %v", groups, err)
	}
	if g := groups[0]; g.Count != 5 || g.Open != 5 || g.Maybe != 5 || g.Recent != 5 || g.Cause != `<id> waited # ms for "..."` || g.Last.Before(g.First) {
		t.Errorf("%+v", g)
	}
	if g := groups[1]; g.Count != 1 || g.Recent != 0 || !g.First.Equal(noon) || g.Reason != "expired" || g.DeviceType != "lamp" || g.Method != "relay.set" {
		t.Errorf("%+v", g)
	}
}

func TestKin(t *testing.T) {
	t.Parallel()
	s := deadletter.New(storetest.Database(t).Pool(t))
	commands := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	var letters []uuid.UUID
	for i, command := range commands {
		letters = append(letters, bury(t, s, func(l *deadletter.Letter) {
			l.CommandID, l.Redrive = command, i
			if i > 0 {
				l.RedriveOf = commands[i-1]
			}
		}))
	}
	kin, err := s.Kin(t.Context(), "acme", commands[1], commands[0])
	var ids []uuid.UUID
	for _, l := range kin {
		ids = append(ids, l.LetterID)
	}
	if err != nil || !slices.Equal(ids, []uuid.UUID{letters[0], letters[2]}) {
		t.Errorf("%v of %v, %v", ids, letters, err)
	}
}
