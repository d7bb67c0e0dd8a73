package app

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/topology"
)

// Lanes that cannot be told while the link comes up are asked for again, however long the rest of
// its coming up takes.
func TestLanesUnknownAtFirst(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	link := broker.NewLink(b.Config(t, "api"))
	var asked atomic.Int64
	l, err := newLanes(link, func(context.Context) ([]topology.Lane, error) {
		if asked.Add(1) == 1 {
			return nil, errors.New("the database is slow today")
		}
		return []topology.Lane{topology.DefaultLane()}, nil
	}, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	link.OnUp("takes its time", func(ctx context.Context, _ *broker.Session) error {
		select {
		case <-up:
		case <-ctx.Done():
		}
		return nil
	})
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := link.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := link.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	brokertest.Eventually(t, "it was asked and could not be told", func() bool { return errors.Is(l.Ready(t.Context()), errLanesUnknown) })
	if b.QueueExists(t, topology.WorkQueue("default")) || !b.QueueExists(t, topology.DeadQueue) {
		t.Error("what needs no lanes is declared, and nothing else")
	}
	// The change was asked for while the link was not up yet; take it, as run does.
	brokertest.Eventually(t, "run has tried in vain", func() bool { return len(l.again) == 0 })
	close(up)
	brokertest.Eventually(t, "all is declared", func() bool { return l.Ready(t.Context()) == nil })
	if !b.QueueExists(t, topology.WorkQueue("default")) {
		t.Error("ready without the queue")
	}
}

// An exchange that somebody deletes while api runs is declared again, with what is bound to it, though nobody publishes
// and no connection ends.
func TestAnExchangeThatIsDeletedComesBack(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	link := broker.NewLink(b.Config(t, "api"))
	l, err := newLanes(link, func(context.Context) ([]topology.Lane, error) {
		return []topology.Lane{topology.DefaultLane()}, nil
	}, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	brokertest.Start(t, link)
	brokertest.Eventually(t, "all is declared", func() bool { return l.Ready(t.Context()) == nil })
	lost := []string{topology.CommandsExchange, topology.ParkedExchange} // what is api's own; the dead letters' is the recorder's
	for _, exchange := range lost {
		if len(b.Bindings(t, exchange)) == 0 {
			t.Errorf("%s leads nowhere", exchange)
		}
		b.DeleteExchange(t, exchange)
	}
	for _, exchange := range lost {
		brokertest.Within(t, 6*broker.KeepEvery, exchange+" leads somewhere again", func() bool { return len(b.Bindings(t, exchange)) > 0 })
	}
}
