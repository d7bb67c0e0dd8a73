package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
)

// heard gathers what a listener is told, in order.
type heard chan string

func listen(t *testing.T, pool *postgres.Pool) (*postgres.Listener, heard) {
	t.Helper()
	said := make(heard, 100)
	l := postgres.NewListener(pool, postgres.ListenerConfig{
		Channels:     []string{"devices", "Api Keys"},
		Notify:       func(_ context.Context, channel, payload string) { said <- channel + ":" + payload },
		Connected:    func(context.Context) { said <- "connected" },
		Disconnected: func() { said <- "disconnected" },
	})
	if err := l.Start(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, l.Stop) })
	return l, said
}

func (h heard) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-h:
			if got != w {
				t.Fatalf("heard %q, want %q", got, w)
			}
		case <-time.After(patience):
			t.Fatalf("did not hear %q", w)
		}
	}
}

func TestListenerHearsInOrder(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	pool := db.Pool(t)
	l, said := listen(t, pool)
	said.expect(t, "connected")
	exec(t, pool, "select pg_notify('devices', 'a'), pg_notify('Api Keys', 'b'), pg_notify('other', 'c')")
	exec(t, pool, "select pg_notify('devices', 'd')")
	said.expect(t, "devices:a", "Api Keys:b", "devices:d")
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestListenerSaysWhenItMayHaveMissedSomething(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, nil)
	pool := db.Pool(t)
	proxy := db.Proxy(t)
	through := postgrestest.Open(t, postgres.Config{URL: db.ProxyURL(proxy), ApplicationName: "listener"})
	l, said := listen(t, through)
	said.expect(t, "connected")
	proxy.Refuse()
	said.expect(t, "disconnected")
	poll(t, "the listener is not ready", func() bool { return l.Ready(t.Context()) != nil })
	exec(t, pool, "select pg_notify('devices', 'missed')")
	proxy.Heal()
	said.expect(t, "connected")
	exec(t, pool, "select pg_notify('devices', 'heard')")
	said.expect(t, "devices:heard")
	poll(t, "the server has noticed that the first connection is gone", func() bool {
		var n int
		err := pool.QueryRow(t.Context(), "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'listener'").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	if cut := db.Cut(t, "listener"); cut != 1 {
		t.Fatalf("cut %d connections, want the listener's", cut)
	}
	said.expect(t, "disconnected", "connected")
}
