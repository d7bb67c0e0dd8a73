package audit_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/internal/storetest"
)

func TestAppendAndList(t *testing.T) {
	t.Parallel()
	trail := audit.New(storetest.Database(t).Pool(t))
	at := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	whole := audit.Entry{
		Tenant: "acme", At: at, Stage: audit.StageRecord, Action: "dead_letter", Actor: "ops", Reason: "expired", Client: "web",
		ID: []byte("s:\x00\xff"), CommandID: uuid.New(), Device: "lamp-1", Method: "relay.set", Lane: "default", Detail: "why",
	}
	second, other := whole, whole
	second.Detail = "second"
	other.Tenant = "other"
	if err := trail.Append(t.Context(), whole, second, other, audit.Entry{Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	got, err := trail.List(t.Context(), "acme", at, 10)
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Seq" }, cmp.Ignore())
	if diff := cmp.Diff([]audit.Entry{whole, second}, got[:2], ignore); diff != "" {
		t.Error(diff)
	}
	if age := time.Since(got[2].At); age > time.Minute || age < -time.Minute {
		t.Errorf("an entry without time is of %v", got[2].At)
	}
	if got, err := trail.List(t.Context(), "acme", at.Add(time.Second), 1); err != nil || len(got) != 1 || !got[0].At.After(at) {
		t.Errorf("from later on: %+v, %v", got, err)
	}
}

func TestNoTextIsRefused(t *testing.T) {
	t.Parallel()
	trail := audit.New(storetest.Database(t).Pool(t))
	bad := "a\x00b\xffc"
	if err := trail.Append(t.Context(), audit.Entry{
		Tenant: "acme", Stage: bad, Action: bad, Actor: bad, Reason: bad, Client: bad, Device: bad, Method: bad, Lane: bad,
		Detail: bad + strings.Repeat("ü", audit.MaxDetail),
	}); err != nil {
		t.Fatal(err)
	}
	got, err := trail.List(t.Context(), "acme", time.Time{}, 1)
	if err != nil || len(got) != 1 || got[0].Method != "a\uFFFDb\uFFFDc" || len(got[0].Detail) > audit.MaxDetail || !utf8.ValidString(got[0].Detail) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	trail := audit.New(storetest.Pool(t, "postgres://nobody@127.0.0.1:1/none", "audit", 1))
	if err := trail.Append(t.Context(), audit.Entry{Tenant: "acme"}); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := trail.List(t.Context(), "acme", time.Time{}, 1); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

func TestSearchByIDAndTypeInBothOrders(t *testing.T) {
	t.Parallel()
	trail := audit.New(storetest.Database(t).Pool(t))
	for i, id := range []string{`"c-1"`, "s:c-1", "i:42", "42", "s:c-2"} {
		e := audit.Entry{Tenant: "acme", Stage: audit.StageOperator, Action: "note", ID: []byte(id), Device: "d", DeviceType: "lamp"}
		if i == 4 {
			e.DeviceType = "door"
		}
		if err := trail.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		filter audit.Filter
		n      int
	}{{audit.Filter{ID: "c-1"}, 2}, {audit.Filter{ID: `"c-1"`}, 2}, {audit.Filter{ID: "42"}, 2}, {audit.Filter{DeviceType: "door"}, 1}, {audit.Filter{ID: "x"}, 0}} {
		c.filter.Tenant = "acme"
		if found, _, err := trail.Search(t.Context(), c.filter, nil, 10); err != nil || len(found) != c.n {
			t.Errorf("%+v: %d entries, %v", c.filter, len(found), err)
		}
	}
	var walked []string
	var after *audit.Cursor
	for {
		found, next, err := trail.Search(t.Context(), audit.Filter{Tenant: "acme", Oldest: true}, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			walked = append(walked, string(e.ID))
		}
		if next == nil {
			break
		}
		after = next
	}
	if len(walked) != 5 || walked[0] != `"c-1"` || walked[4] != "s:c-2" {
		t.Errorf("oldest first: %q", walked)
	}
}
