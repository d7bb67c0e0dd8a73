package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

func do(t testing.TB, link *broker.Link, f func(ctx context.Context, s *broker.Session) error) {
	t.Helper()
	if err := link.Do(within(t), f); err != nil {
		t.Fatal(err)
	}
}

func TestTheWholeTopologyIsDeclared(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	whole := topology.Merge(topology.Whole(topology.DefaultLane()), topology.Push("p-0"), topology.Answers("d-0"))
	do(t, host.Link(t, "declares"), func(ctx context.Context, s *broker.Session) error {
		for range 2 { // again changes nothing
			drifts, err := s.Declare(ctx, whole)
			if err != nil || len(drifts) != 0 {
				t.Fatalf("drifts %v, %v", drifts, err)
			}
		}
		return s.Bind(ctx, topology.Client("p-0", "demo", "till"))
	})
	for _, q := range whole.Queues {
		if !host.QueueExists(t, q.Name) {
			t.Errorf("%s is missing", q.Name)
		}
	}
	host.Publish(t, message.Message{Exchange: topology.RepliesExchange, Key: "demo.till", ID: "1"})
	host.Publish(t, message.Message{Exchange: topology.RepliesExchange, Key: "demo.other", ID: "2"})
	if got := host.Get(t, topology.PushQueue("p-0")); got.ID != "1" {
		t.Fatalf("got %s at the pusher", got.ID)
	}
	if got := host.Get(t, topology.MailboxQueue); got.ID != "2" {
		t.Fatalf("got %s in the mailbox", got.ID)
	}
}

// TestBorrowedThingsAreDeclaredOnlyWhereTheyAreMissing needs no right to them where they are there: the user of this
// test may declare nothing but its own.
func TestBorrowedThingsAreDeclaredOnlyWhereTheyAreMissing(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	lent := topology.Merge(
		topology.Topology{Exchanges: []topology.Exchange{{Name: "in", Kind: topology.Topic, Durable: true}}}, quorum("lent", nil))
	lent.Bindings = append(lent.Bindings, topology.Binding{Source: "in", Key: "#", Destination: "lent"})
	own := quorum("own", nil).Queues
	borrows := topology.Merge(topology.Borrow(lent), topology.Topology{Queues: own})
	host.Declare(t, borrows) // with all rights, on a broker that nobody has prepared
	host.Publish(t, message.Message{Exchange: "in", Key: "k", Mandatory: true, ID: "1"})
	host.Get(t, "lent")

	user := host.User(t, "^own$", "^own$", "^(own|in)$")
	narrow := broker.NewLink(broker.Config{URL: user, Name: "narrow"})
	brokertest.Start(t, narrow)
	do(t, narrow, func(ctx context.Context, s *broker.Session) error {
		if drifts, err := s.Declare(ctx, borrows); err != nil || len(drifts) != 0 {
			t.Errorf("what is there cannot be borrowed: %v, %v", drifts, err)
		}
		if _, err := s.Declare(ctx, lent); !errors.Is(err, broker.ErrForbidden) {
			t.Errorf("it may be declared: %v", err)
		}
		return nil
	})
	host.Do(t, "delete", func(ctx context.Context, s *broker.Session) error { return s.DeleteQueue(ctx, "lent", false, false) })
	do(t, narrow, func(ctx context.Context, s *broker.Session) error {
		if _, err := s.Declare(ctx, borrows); !errors.Is(err, broker.ErrForbidden) {
			t.Errorf("what is missing, and may not be declared: %v", err)
		}
		return nil
	})
}

func TestDriftIsReportedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	host.Declare(t, quorum("one", nil), quorum("two", nil))
	changed := topology.Merge(
		topology.Topology{Exchanges: []topology.Exchange{{Name: "in", Kind: topology.Topic, Durable: true, Alternate: "other"}}},
		quorum("one", map[string]any{"x-max-length": int64(5)}), quorum("three", nil), quorum("two", map[string]any{"x-max-length": int64(5)}),
	)
	do(t, host.Link(t, "declares"), func(ctx context.Context, s *broker.Session) error {
		drifts, err := s.Declare(ctx, changed)
		var found []string
		for _, d := range drifts {
			found = append(found, d.What+" "+d.Name)
			if d.Err == nil || d.String() == "" {
				t.Errorf("drift without a reason: %+v", d)
			}
		}
		if fmt.Sprint(found) != "[exchange in queue one queue two]" {
			t.Errorf("drifts %v", drifts)
		}
		return err
	})
	host.Publish(t, to("three", "1")) // was declared and bound
	host.Get(t, "three")
}

func TestLockIsHeldByOneConnectionUntilItIsGone(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	lock := topology.Lock("p-0")
	first, second := host.Link(t, "first"), host.Link(t, "second")
	take := func(link *broker.Link) error {
		return link.Do(within(t), func(ctx context.Context, s *broker.Session) error { return s.Lock(ctx, lock) })
	}
	for range 2 { // its holder may take it again
		if err := take(first); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the refusal closes a channel, and nothing else
		if err := take(second); !errors.Is(err, broker.ErrLocked) {
			t.Fatalf("got %v, want ErrLocked", err)
		}
	}
	if !host.QueueExists(t, lock.Name) {
		t.Fatal("the lock is not there")
	}
	host.Cut(t, "first")
	waitFor(t, first, "cut", func(s broker.Status) bool { return s.Generation > 1 || s.State == broker.Down })
	brokertest.Eventually(t, "the lock is free", func() bool { return take(second) == nil })
	if generation := second.Status().Generation; generation != 1 {
		t.Fatalf("the second link is in generation %d", generation)
	}
}

func TestAThousandBindingsAreInForce(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	host.Declare(t, quorum("push", nil), topology.Topology{Exchanges: []topology.Exchange{{Name: "clients", Kind: topology.Direct}}})
	link := host.Link(t, "binds")
	publisher := broker.NewPublisher(link, broker.PublisherConfig{})
	if err := link.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
	const n = 1000
	bindings := make([]topology.Binding, n)
	for i := range bindings {
		bindings[i] = topology.Binding{Source: "clients", Key: fmt.Sprintf("demo.client-%d", i), Destination: "push"}
	}
	began := time.Now()
	do(t, link, func(ctx context.Context, s *broker.Session) error { return s.Bind(ctx, bindings...) })
	t.Logf("%d binds in %s", n, time.Since(began))
	publishAll := func(want error) {
		t.Helper()
		answers := make(chan error, n)
		for _, b := range bindings {
			m := message.Message{Exchange: b.Source, Key: b.Key, Mandatory: true}
			publisher.Submit(within(t), m, func(err error) { answers <- err })
		}
		for range bindings {
			if err := receive(t, "an answer", answers); !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
		}
	}
	publishAll(nil)
	began = time.Now()
	do(t, link, func(ctx context.Context, s *broker.Session) error {
		if err := s.Unbind(ctx, bindings...); err != nil {
			return err
		}
		return s.Unbind(ctx, bindings[0]) // not there any more, which is no error
	})
	t.Logf("%d unbinds in %s", n, time.Since(began))
	publishAll(broker.ErrUnroutable)
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	host.Declare(t, quorum("work", nil))
	host.Publish(t, to("work", "1"))
	do(t, host.Link(t, "asks"), func(ctx context.Context, s *broker.Session) error {
		if _, _, err := s.Inspect(ctx, "nowhere"); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("inspect: got %v", err)
		}
		err := s.Bind(ctx, topology.Binding{Source: "nowhere", Key: "k", Destination: "work"}, topology.Binding{Source: "in", Key: "k", Destination: "work"})
		if !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("bind: got %v", err)
		}
		if err := s.Unbind(ctx, topology.Binding{Source: "nowhere", Key: "k", Destination: "work"}); err != nil {
			t.Errorf("unbind: got %v", err)
		}
		if err := s.DeleteQueue(ctx, "nowhere", true, true); err != nil {
			t.Errorf("delete: got %v", err)
		}
		for exchange, want := range map[string]bool{"in": true, "nowhere": false} {
			if there, err := s.ExchangeExists(ctx, exchange); there != want || err != nil {
				t.Errorf("exchange %s is there: %t, %v", exchange, there, err)
			}
		}
		if err := s.DeleteQueue(ctx, "work", true, true); !errors.Is(err, broker.ErrInUse) {
			t.Errorf("delete a queue that is not empty: got %v", err)
		}
		return s.DeleteQueue(ctx, "work", true, false)
	})
	if host.QueueExists(t, "work") {
		t.Fatal("the queue is still there")
	}
}

func TestDrainTakesWhatIsThere(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	host.Declare(t, quorum("work", nil))
	const n = 200
	var messages []message.Message
	for i := range n {
		messages = append(messages, to("work", fmt.Sprint(i)))
	}
	host.Publish(t, messages...)
	enough := errors.New("enough")
	var taken []string
	take := func(most int) func(context.Context, *broker.Delivery) error {
		return func(_ context.Context, d *broker.Delivery) error {
			if len(taken) == most {
				return enough
			}
			taken = append(taken, d.ID)
			return nil
		}
	}
	do(t, host.Link(t, "drains"), func(ctx context.Context, s *broker.Session) error {
		if err := s.Drain(ctx, "work", take(50)); !errors.Is(err, enough) {
			t.Errorf("got %v, want %v", err, enough)
		}
		for i, id := range taken {
			if id != fmt.Sprint(i) {
				t.Fatalf("took %s in place %d", id, i)
			}
		}
		if err := s.Drain(ctx, "work", take(n)); err != nil {
			return err
		}
		return s.Drain(ctx, "work", take(n)) // an empty queue
	})
	slices.Sort(taken)
	if once := slices.Compact(slices.Clone(taken)); len(once) != n || len(taken) != n {
		t.Fatalf("took %d messages, %d different ones, of %d", len(taken), len(once), n)
	}
	host.Empty(t, "work")
}

// TestACallEndsWithItsContext, and an answer that comes too late disturbs nobody.
func TestACallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	host.Declare(t, quorum("work", nil))
	proxy := host.Proxy(t)
	config := host.Config(t, "calls")
	config.URL = host.ProxyURL(proxy)
	link := broker.NewLink(config)
	brokertest.Start(t, link)
	inspect := func(ctx context.Context) error {
		return link.Do(ctx, func(ctx context.Context, s *broker.Session) error {
			_, _, err := s.Inspect(ctx, "work")
			return err
		})
	}
	proxy.Stall()
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			if err := inspect(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
	calls.Wait()
	proxy.Heal()
	if err := inspect(within(t)); err != nil {
		t.Fatal(err)
	}
	proxy.Stall()
	calls.Go(func() {
		if err := inspect(within(t)); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("lost under a call: got %v", err)
		}
	})
	sleepAbout(20 * time.Millisecond)
	proxy.Cut()
	calls.Wait()
	proxy.Heal()
}

// TestAMissingEndAmongManyBindings is said by name, and costs a channel, not the connection.
func TestAMissingEndAmongManyBindings(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	host.Declare(t, quorum("work", nil))
	var bindings []topology.Binding
	for i := range 600 {
		bindings = append(bindings, topology.Binding{Source: "in", Key: fmt.Sprint(i), Destination: "work"})
	}
	link := host.Link(t, "binds")
	do(t, link, func(ctx context.Context, s *broker.Session) error {
		for at := 0; at < len(bindings); at += 13 {
			some := slices.Clone(bindings)
			some[at].Source = "nowhere"
			if err := s.Bind(ctx, some...); !errors.Is(err, broker.ErrNotFound) {
				t.Errorf("number %d is missing: got %v", at, err)
			}
		}
		return s.Bind(ctx, bindings...)
	})
	if generation := link.Status().Generation; generation != 1 {
		t.Fatalf("the link is in generation %d", generation)
	}
	if n := len(host.Bindings(t, "in")); n != len(bindings)+1 {
		t.Fatalf("%d bindings, want %d", n, len(bindings)+1)
	}
}
