package mailbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/cupline/cupline/store/changes"
	"github.com/cupline/cupline/store/internal/storetest"
	"github.com/cupline/cupline/store/mailbox"
)

func TestArrivalsWakeWhoWaits(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	pool := db.Pool(t)
	s, a := mailbox.New(pool, mailbox.Limits{}), mailbox.NewArrivals()
	connected := storetest.Listen(t, storetest.Pool(t, db.URL(), "listener", 1), a)
	first, doneFirst := a.Wait("acme", "web")
	second, doneSecond := a.Wait("acme", "web")
	other, doneOther := a.Wait("acme", "app")
	defer doneSecond()
	defer doneOther()
	put(t, s, items("web", 3)...)
	<-first
	<-second
	doneFirst()
	put(t, s, items("web", 1)...)
	<-second
	put(t, s, append(items("x", 1), items("app", 1)...)...)
	<-other
	select {
	case <-first:
		t.Error("woken after its end")
	default:
	}
	if n := db.Cut(t, "listener"); n != 1 {
		t.Fatalf("%d listeners", n)
	}
	<-second // something may have come in the gap
	<-other
	<-connected
}

func TestOneNotificationForEachBatch(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	conn, err := pgx.Connect(t.Context(), db.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "listen "+changes.Mailbox+"; listen fence"); err != nil {
		t.Fatal(err)
	}
	pool := db.Pool(t)
	s := mailbox.New(pool, mailbox.Limits{})
	payloads := func() (all []string) {
		if _, err := pool.Exec(t.Context(), "notify fence"); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := conn.WaitForNotification(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n.Channel == "fence" {
				return all
			}
			all = append(all, n.Payload)
		}
	}
	put(t, s, append(items("web", 20), items("app", 20)...)...)
	if got := payloads(); len(got) != 1 || got[0] != "acme.app acme.web" {
		t.Errorf("notified %q", got)
	}
	var many []mailbox.Item
	for i := range 200 {
		many = append(many, item(fmt.Sprintf("%064d", i), "x"))
	}
	put(t, s, many...)
	got := payloads()
	if names := strings.Fields(strings.Join(got, " ")); len(got) != 2 || len(names) != 200 {
		t.Errorf("%d notifications with %d names", len(got), len(names))
	}
	put(t, s, many...)
	if got := payloads(); len(got) != 0 {
		t.Errorf("notified of nothing new: %q", got)
	}
}

func TestQuotaIsKnownEverywhere(t *testing.T) {
	t.Parallel()
	db := storetest.Database(t)
	pool := db.Pool(t)
	s := mailbox.New(pool, mailbox.Limits{Outcomes: 10, Bytes: 1000})
	early := items("early", 10)
	put(t, s, early...)
	listening := storetest.Pool(t, db.URL(), "listener", 1)
	one, two := mailbox.NewQuota(pool, zap.NewNop()), mailbox.NewQuota(pool, zap.NewNop())
	storetest.Started(t, one)
	storetest.Started(t, two)
	storetest.Listen(t, listening, one)
	connected := storetest.Listen(t, storetest.Pool(t, db.URL(), "cut", 1), two)
	both := func(client string, full bool) {
		t.Helper()
		storetest.Eventually(t, fmt.Sprint(client, " is full: ", full), func() bool {
			return one.Full("acme", client) == full && two.Full("acme", client) == full
		})
	}
	both("early", true) // loaded
	web := items("web", 11)
	put(t, s, web[:9]...)
	both("web", false)
	put(t, s, web[9:]...)
	both("web", true)
	ack(t, s, early...)
	both("early", false)
	ack(t, s, web[0])
	both("web", false) // nine of ten wait
	if one.Full("other", "web") {
		t.Error("another tenant's client is full")
	}
	big := item("big", strings.Repeat("x", 1001))
	put(t, s, big, item("big", "y"))
	both("big", true) // something was refused
	db.Cut(t, "cut")
	put(t, s, items("gap", 10)...)
	<-connected
	both("gap", true)
}
