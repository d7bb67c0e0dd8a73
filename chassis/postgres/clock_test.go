package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
)

// near is what a clock on a loaded machine may be off by.
const near = 2 * time.Second

func TestClockTellsDatabaseTime(t *testing.T) {
	t.Parallel()
	pool := postgrestest.New(t, nil).Pool(t)
	clock := postgres.NewClock(pool, nil)
	if _, measured := clock.Offset(); measured {
		t.Fatal("measured before it was started")
	}
	if err := clock.Measure(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	offset, measured := clock.Offset()
	if !measured || offset.Abs() > near {
		t.Fatalf("offset %s, measured %t", offset, measured)
	}
	var there time.Time
	earliest := clock.Now()
	if err := pool.QueryRow(within(t, patience), "select clock_timestamp()").Scan(&there); err != nil {
		t.Fatal(err)
	}
	if latest := clock.Now(); there.Before(earliest.Add(-near)) || there.After(latest.Add(near)) {
		t.Fatalf("it was %s, by the clock between %s and %s", there, earliest, latest)
	}
}

func TestClockKeepsGoingWithTheDatabaseAway(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	proxy := db.Proxy(t)
	clock := postgres.NewClock(postgrestest.Open(t, postgres.Config{URL: db.ProxyURL(proxy)}), nil)
	if err := clock.Start(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	defer stop(t, clock.Stop)
	poll(t, "the clock measures", func() bool { _, measured := clock.Offset(); return measured })
	proxy.Refuse()
	if err := clock.Measure(within(t, patience)); err == nil {
		t.Fatal("measured with the database away")
	}
	before := clock.Now()
	if _, measured := clock.Offset(); !measured || clock.Now().Before(before) {
		t.Fatal("the offset was lost")
	}
}

func TestClockStartsWithTheDatabaseAway(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	proxy := db.Proxy(t)
	proxy.Refuse()
	clock := postgres.NewClock(postgrestest.Open(t, postgres.Config{URL: db.ProxyURL(proxy)}), nil)
	if err := clock.Start(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	defer stop(t, clock.Stop)
	if err := clock.Ready(t.Context()); err == nil {
		t.Fatal("ready before it was measured")
	}
	earliest, now, latest := time.Now(), clock.Now(), time.Now()
	if now.Before(earliest) || now.After(latest) {
		t.Fatalf("%s before it was measured, and this machine's clock says %s", now, earliest)
	}
	proxy.Heal()
	poll(t, "the clock measures", func() bool { return clock.Ready(t.Context()) == nil })
}

func stop(t *testing.T, stop func(ctx context.Context) error) {
	t.Helper()
	for range 2 { // twice is fine
		if err := stop(within(t, patience)); err != nil {
			t.Error(err)
		}
	}
}
