package retention_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/retention"
)

const day = 24 * time.Hour

func TestATenantsTermsAreThePlatformsUntilSetAndTheyAreAudited(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	if _, err := pool.Exec(t.Context(), `insert into tenants (tenant) values ('acme')`); err != nil {
		t.Fatal(err)
	}
	s := retention.New(pool)
	want := func(tenant string, own, inForce retention.Terms) {
		t.Helper()
		gotOwn, got, err := s.Get(t.Context(), tenant)
		if err != nil || gotOwn != own || got != inForce {
			t.Errorf("%s: %+v, %+v, %v", tenant, gotOwn, got, err)
		}
		all, err := s.All(t.Context())
		if err != nil || all[tenant] != inForce {
			t.Errorf("of all, %s: %+v, %v", tenant, all, err)
		}
	}
	put := func(tenant string, terms retention.Terms) {
		t.Helper()
		if err := s.Put(t.Context(), tenant, terms, "ann", "asked for"); err != nil {
			t.Fatal(err)
		}
	}
	want("acme", retention.Terms{}, retention.Default())
	put(topology.SystemTenant, retention.Terms{Audit: 365 * day, Letters: 2 * day})
	want("acme", retention.Terms{}, retention.Terms{Letters: 2 * day, Audit: 365 * day, Ledger: day, Mailbox: 7 * day})
	own := retention.Terms{Letters: 9 * day, Mailbox: time.Hour}
	put("acme", own)
	want("acme", own, retention.Terms{Letters: 9 * day, Audit: 365 * day, Ledger: day, Mailbox: time.Hour})
	put("acme", retention.Terms{})
	want("acme", retention.Terms{}, retention.Terms{Letters: 2 * day, Audit: 365 * day, Ledger: day, Mailbox: 7 * day})
	entries, err := audit.New(pool).List(t.Context(), "acme", time.Time{}, 10)
	if err != nil || len(entries) != 2 || entries[0].Action != "retention_set" || !strings.Contains(entries[0].Detail, "mailbox 1h0m0s") {
		t.Errorf("%+v, %v", entries, err)
	}
}

func TestTermsAreHeldToTheirLimits(t *testing.T) {
	t.Parallel()
	for name, terms := range map[string]retention.Terms{
		"letters": {Letters: 23 * time.Hour}, "audit": {Audit: retention.Most + time.Second}, "ledger": {Ledger: time.Minute},
		"mailbox": {Mailbox: 90*time.Second + time.Millisecond},
	} {
		var wrong *retention.TermError
		if err := terms.Check(); !errors.As(err, &wrong) || wrong.Term != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, terms := range []retention.Terms{{}, retention.Default()} {
		if err := terms.Check(); err != nil {
			t.Error(err)
		}
	}
	if floor := retention.Floor([]topology.Lane{{MaxTTL: time.Hour}, {MaxTTL: 24 * time.Hour}}); floor != 25*time.Hour {
		t.Errorf("the floor is %s", floor)
	}
}
