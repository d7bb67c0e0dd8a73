package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/ledger"
)

func TestRecentAndCount(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	w, r := writer(t, pool, ledger.Config{}), ledger.NewReader(pool)
	for i := range 9 {
		c := claim("web", fmt.Sprint("c-", i))
		if i%3 == 0 {
			c.Device = "lamp-9"
		}
		mustClaim(t, w, c)
		d := decision(c, `{}`)
		switch {
		case i < 2:
			continue
		case i == 2:
			d.Origin, d.Reason = "platform", "no_answer"
		}
		if _, won, err := w.Decide(t.Context(), d); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	other := claim("web", "c-0")
	other.Tenant = "other"
	mustClaim(t, w, other)
	tenant := claim("web", "x").Tenant

	for name, c := range map[string]struct {
		choice ledger.Choice
		want   []string
	}{
		"all, newest first": {ledger.Choice{}, []string{"c-8", "c-7", "c-6", "c-5", "c-4", "c-3", "c-2", "c-1", "c-0"}},
		"of a device":       {ledger.Choice{Device: "lamp-9"}, []string{"c-6", "c-3", "c-0"}},
		"open":              {ledger.Choice{State: "open"}, []string{"c-1", "c-0"}},
		"failed":            {ledger.Choice{State: "failed"}, []string{"c-2"}},
		"by reason":         {ledger.Choice{Reason: "no_answer", Client: "web"}, []string{"c-2"}},
		"answered, of one":  {ledger.Choice{State: "answered", Device: "lamp-9"}, []string{"c-6", "c-3"}},
		"of nobody":         {ledger.Choice{Client: "nobody"}, nil},
		"since later":       {ledger.Choice{Since: time.Now().Add(time.Hour)}, nil},
	} {
		c.choice.Tenant = tenant
		rows, err := r.Recent(t.Context(), c.choice, 100)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, row := range rows {
			got = append(got, string(row.ID)[len(row.ID)-3:])
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	since := time.Now().Add(-time.Hour)
	tally, err := r.Count(t.Context(), tenant, since)
	if err != nil {
		t.Fatal(err)
	}
	if tally.Open != 2 || tally.Answered != 6 || tally.Failed["no_answer"] != 1 || len(tally.Failed) != 1 || tally.From.Sub(since).Abs() > time.Millisecond {
		t.Errorf("%+v", tally)
	}
	if tally, err = r.Count(t.Context(), "nobody", since); err != nil || tally.Open+tally.Answered != 0 || len(tally.Failed) != 0 {
		t.Errorf("%+v, %v", tally, err)
	}
}
