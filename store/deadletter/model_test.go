package deadletter_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/internal/storetest"
)

// means reports whether a filter chooses a letter, as the documentation says it.
func means(f *deadletter.Filter, l *deadletter.Letter) bool {
	same := func(asked, is string) bool { return asked == "" || asked == is }
	return (f.From.IsZero() || !l.DiedAt.Before(f.From)) && (f.Before.IsZero() || l.DiedAt.Before(f.Before)) &&
		same(f.State, l.State) && same(f.Reason, l.Reason) && same(f.Executed, l.Executed) && same(f.Lane, l.Lane) &&
		same(f.Device, l.Device) && same(f.DeviceType, l.DeviceType) && same(f.Method, l.Method) && same(f.Client, l.Client) &&
		same(f.ID, string(l.ID)) && (f.Group == uuid.Nil || f.Group == l.Group) && (f.Text == "" || l.Detail == "said "+f.Text)
}

// pick is one of some names, or mostly none.
func pick(r *rand.Rand, prefix string, n int) string {
	if r.IntN(3) > 0 {
		return ""
	}
	return fmt.Sprint(prefix, r.IntN(n))
}

// days that the letters die in, up to an hour ago: more than there are counts of minutes for.
const days = 12

func anyFilter(r *rand.Rand, old time.Time, letters []deadletter.Letter) deadletter.Filter {
	f := deadletter.Filter{
		Tenant: "acme", Reason: pick(r, "r-", 3), Method: pick(r, "m-", 4), Device: pick(r, "d-", 4), Client: pick(r, "c-", 3),
		Lane: pick(r, "l-", 2), DeviceType: pick(r, "t-", 3), ID: pick(r, "", 5),
	}
	if r.IntN(4) == 0 {
		f.Executed = []string{"no", "maybe"}[r.IntN(2)]
	}
	if r.IntN(3) == 0 {
		f.State = []string{deadletter.Open, deadletter.Discarded}[r.IntN(2)]
	}
	if r.IntN(4) == 0 {
		f.Text = fmt.Sprint("word", r.IntN(3))
	}
	if r.IntN(6) == 0 {
		f.Group = letters[r.IntN(len(letters))].Group
	}
	if r.IntN(2) == 0 {
		f.From = old.Add(time.Duration(r.IntN(days*86400)) * time.Second)
	}
	if r.IntN(2) == 0 {
		f.Before = old.Add(time.Duration(r.IntN(days*86400)) * time.Second)
	}
	return f
}

// Whatever is asked, lists, counts and groups say what a plain look at all letters says; while changes wait to be added up,
// after that, and after letters have changed and gone.
func TestQuestionsAgainstAModel(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	s := deadletter.New(pool)
	r := rand.New(rand.NewPCG(1, 2))
	old := time.Now().UTC().Truncate(time.Microsecond).Add(-days*24*time.Hour - time.Hour)
	var letters []deadletter.Letter
	for range 150 {
		id := bury(t, s, func(l *deadletter.Letter) {
			l.DiedAt = old.Add(time.Duration(r.IntN(days*86400)) * time.Second)
			l.Reason, l.Method, l.Device = fmt.Sprint("r-", r.IntN(3)), fmt.Sprint("m-", r.IntN(4)), fmt.Sprint("d-", r.IntN(4))
			l.Client, l.Lane, l.DeviceType = fmt.Sprint("c-", r.IntN(3)), fmt.Sprint("l-", r.IntN(2)), fmt.Sprint("t-", r.IntN(3))
			l.ID, l.Executed = []byte(fmt.Sprint(r.IntN(5))), []string{"no", "maybe"}[r.IntN(2)]
			l.Detail = fmt.Sprint("said word", r.IntN(3))
		})
		l, err := s.Get(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, l)
	}
	bury(t, s, func(l *deadletter.Letter) { l.Tenant = "other" })
	addUp := func() {
		if n, err := s.AddUp(t.Context(), 1000); err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	ask := func(when string) {
		for range 50 {
			f := anyFilter(r, old, letters)
			question := fmt.Sprintf("%s, %+v", when, f)
			checkList(t, s, f, letters, r, question)
			checkSums(t, s, f, letters, question)
		}
	}
	ask("before they are added up")
	addUp()
	ask("added up")
	for i := range 60 {
		l, err := s.Discard(t.Context(), "acme", letters[i].LetterID, deadletter.Act{Actor: "ann", Reason: "no"})
		if err != nil {
			t.Fatal(err)
		}
		letters[i].State = l.State
	}
	ask("discarded")
	for _, l := range letters[40:80] {
		if _, err := pool.Exec(t.Context(), "delete from dead_letters where letter_id = $1", l.LetterID[:]); err != nil {
			t.Fatal(err)
		}
	}
	letters = slices.Delete(letters, 40, 80)
	ask("deleted")
	addUp()
	ask("deleted and added up")
}

func checkList(t *testing.T, s *deadletter.Store, f deadletter.Filter, letters []deadletter.Letter, r *rand.Rand, question string) {
	t.Helper()
	sorts := []string{"died_at", "device", "method", "reason", "client"}
	column := sorts[r.IntN(len(sorts))]
	key := func(l *deadletter.Letter) string {
		return map[string]string{"device": l.Device, "method": l.Method, "reason": l.Reason, "client": l.Client}[column]
	}
	var want []deadletter.Letter
	for i := range letters {
		if means(&f, &letters[i]) {
			want = append(want, letters[i])
		}
	}
	slices.SortFunc(want, func(a, b deadletter.Letter) int {
		return cmp.Or(cmp.Compare(key(&a), key(&b)), a.DiedAt.Compare(b.DiedAt), slices.Compare(a.LetterID[:], b.LetterID[:]))
	})
	sort := deadletter.Sort(column)
	if r.IntN(2) == 0 {
		sort = "-" + sort
		slices.Reverse(want)
	}
	var got []deadletter.Letter
	var after *deadletter.Cursor
	for pages := 0; pages < 400; pages++ {
		page, err := s.Find(t.Context(), f, sort, after, 1+r.IntN(40))
		if err != nil {
			t.Fatalf("%s: %v", question, err)
		}
		got = append(got, page.Letters...)
		if page.Next == nil {
			break
		}
		read, err := deadletter.ParseCursor(page.Next.String(), sort)
		if err != nil {
			t.Fatalf("%s: %+v: %v", question, page.Next, err)
		}
		after = &read
	}
	if !slices.EqualFunc(got, want, func(a, b deadletter.Letter) bool { return a.LetterID == b.LetterID && a.State == b.State }) {
		t.Errorf("%s, by %s: %d letters, want %d", question, sort, len(got), len(want))
	}
}

func checkSums(t *testing.T, s *deadletter.Store, f deadletter.Filter, letters []deadletter.Letter, question string) {
	t.Helper()
	states, groups := map[string]int64{}, map[uuid.UUID]*deadletter.Group{}
	for i := range letters {
		l := &letters[i]
		if !means(&f, l) {
			continue
		}
		states[l.State]++
		g := groups[l.Group]
		if g == nil {
			g = &deadletter.Group{ID: l.Group, Reason: l.Reason, DeviceType: l.DeviceType, Method: l.Method, Cause: l.Cause, First: l.DiedAt, Last: l.DiedAt}
			groups[l.Group] = g
		}
		g.Count++
		if l.State == deadletter.Open {
			g.Open++
		}
		if l.Executed == "maybe" {
			g.Maybe++
		}
		if l.DiedAt.Before(g.First) {
			g.First = l.DiedAt
		}
		if l.DiedAt.After(g.Last) {
			g.Last = l.DiedAt
		}
	}
	counts, _, err := s.Counts(t.Context(), f, 0)
	if err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	for state, n := range counts {
		if n != states[state] {
			t.Errorf("%s: counts %v, want %v", question, counts, states)
		}
	}
	found, _, err := s.Groups(t.Context(), f, 1000, 0)
	if err != nil || len(found) != len(groups) {
		t.Fatalf("%s: %d groups, want %d, %v", question, len(found), len(groups), err)
	}
	for i, g := range found {
		if want := groups[g.ID]; want == nil || g != *want || i > 0 && g.Count > found[i-1].Count {
			t.Errorf("%s: group %+v, want %+v", question, g, want)
		}
	}
}
