package storetest

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/store/changes"
)

// Listen leads notifications to the subscribers until the test ends, and returns once they are told
// that it is connected. connected receives for each later connection.
func Listen(t testing.TB, pool *postgres.Pool, subscribers ...changes.Subscriber) (connected <-chan struct{}) {
	t.Helper()
	signal := make(chan struct{}, 64)
	cfg := changes.Listener(zap.NewNop(), subscribers...)
	tell := cfg.Connected
	cfg.Connected = func(ctx context.Context) {
		tell(ctx)
		signal <- struct{}{}
	}
	listener := postgres.NewListener(pool, cfg)
	if err := listener.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := listener.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	<-signal
	return signal
}

// Started starts a service and stops it when the test ends.
func Started(t testing.TB, service interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}) {
	t.Helper()
	if err := service.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := service.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

// Eventually waits until holds, for what another goroutine of the process under test does in
// its own time and gives no signal for.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(Patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it did not come true: %s", what)
		}
	}
}
