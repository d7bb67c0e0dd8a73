package integration

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/message"
)

func TestStepsRunInOrderOnEveryConnect(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	link := broker.NewLink(host.Config(t, "steps"))
	ran := make(chan string, 10)
	for _, name := range []string{"one", "two"} {
		link.OnUp(name, func(_ context.Context, s *broker.Session) error {
			if link.Status().State == broker.Up {
				t.Errorf("up before step %s", name)
			}
			ran <- name + " " + strings.Repeat("i", int(s.Generation()))
			return nil
		})
	}
	brokertest.Start(t, link)
	host.Cut(t, "steps")
	for _, want := range []string{"one i", "two i", "one ii", "two ii"} {
		if got := receive(t, want, ran); got != want {
			t.Fatalf("ran %q, want %q", got, want)
		}
	}
	waitFor(t, link, "up again", func(s broker.Status) bool { return s.State == broker.Up && s.Generation == 2 })
	if status := link.Status(); status.ServerVersion == "" || status.LastError != nil {
		t.Fatalf("status %+v", status)
	}
	late := make(chan uint64, 1)
	link.OnUp("late", func(_ context.Context, s *broker.Session) error { late <- s.Generation(); return nil })
	if got := receive(t, "the late step", late); got != 2 {
		t.Fatalf("the late step ran in generation %d, want the present one", got)
	}
	if err := link.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAFailingStepDropsTheConnection(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	link := broker.NewLink(host.Config(t, "failing"))
	refusal := errors.New("not yet")
	var tries atomic.Int32
	var lost <-chan struct{}
	looked := make(chan struct{})
	link.OnUp("fails twice", func(ctx context.Context, s *broker.Session) error {
		if tries.Add(1) <= 2 {
			lost = s.Lost()
			return refusal
		}
		select {
		case <-lost:
		default:
			t.Error("the last connection still lives")
		}
		select {
		case <-looked: // up to then it stays down
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	stopAtEnd(t, link)
	waitFor(t, link, "failed", func(s broker.Status) bool { return errors.Is(s.LastError, refusal) })
	if err := link.Do(t.Context(), nil); !errors.Is(err, broker.ErrUnavailable) {
		t.Fatalf("do while down: got %v", err)
	}
	close(looked)
	if err := link.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
	if n := tries.Load(); n != 3 {
		t.Fatalf("%d tries, want 3", n)
	}
}

func TestAStepsContextEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	proxy := host.Proxy(t)
	config := host.Config(t, "hanging")
	config.URL = host.ProxyURL(proxy)
	link := broker.NewLink(config)
	began := make(chan struct{}, 1)
	var hung atomic.Bool
	link.OnUp("hangs once", func(ctx context.Context, _ *broker.Session) error {
		if hung.Swap(true) {
			return nil
		}
		began <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	stopAtEnd(t, link)
	receive(t, "the step", began)
	proxy.Cut()
	if err := link.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAHalfOpenLinkIsNoticed(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	proxy := host.Proxy(t)
	config := host.Config(t, "half open")
	config.URL, config.Heartbeat = host.ProxyURL(proxy), time.Second
	link := broker.NewLink(config)
	publisher := broker.NewPublisher(link, broker.PublisherConfig{})
	brokertest.Start(t, link)
	proxy.Stall()
	began := time.Now()
	// In doubt long before its own context ends, or a heartbeat of the default length would tell.
	err := publisher.Publish(within(t), message.Message{Key: "x"})
	if !errors.Is(err, broker.ErrInDoubt) || errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 12*time.Second {
		t.Fatalf("got %v after %s", err, time.Since(began))
	}
	proxy.Cut()
	proxy.Heal()
	if err := link.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestSeveralURLsAreTriedInTurn(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	const away = "amqp://u:hunter2@127.0.0.1:1" // a port that nobody gets by chance
	first, second := host.Proxy(t), host.Proxy(t)
	config := host.Config(t, "several")
	config.URL = strings.Join([]string{away, host.ProxyURL(first), host.ProxyURL(second)}, ", ")
	config.DialTimeout = limit // the first is slow at worst, and not passed over
	link := broker.NewLink(config)
	brokertest.Start(t, link)
	if first.Dialled() != 1 || second.Dialled() != 0 {
		t.Fatalf("dialled %d and %d times", first.Dialled(), second.Dialled())
	}
	first.Refuse()
	waitFor(t, link, "up by the second", func(s broker.Status) bool { return s.State == broker.Up && s.Generation > 1 })
	if second.Dialled() != 1 {
		t.Fatalf("dialled the second %d times", second.Dialled())
	}
}

func TestNoPasswordIsShown(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	wrong, err := url.Parse(host.URL())
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword(wrong.User.Username(), "hunter2")
	config := host.Config(t, "wrong password")
	config.URL = wrong.String()
	link := broker.NewLink(config)
	stopAtEnd(t, link)
	waitFor(t, link, "refused", func(s broker.Status) bool { return s.LastError != nil })
	if err := link.Ready(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("ready says %v", err)
	}
}

// TestStopAtAnyMoment: whatever the link is doing, Stop returns soon, and twice is fine;
// the package's own check finds what is left running.
func TestStopAtAnyMoment(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	host.Declare(t, quorum("work", nil))
	for i := range 24 {
		proxy := host.Proxy(t)
		config := host.Config(t, "stopped")
		config.URL = host.ProxyURL(proxy)
		link := broker.NewLink(config)
		declaring(link, quorum("work", nil))
		publisher := broker.NewPublisher(link, broker.PublisherConfig{})
		broker.NewConsumer(link, broker.ConsumerConfig{Queue: "work", Handle: func(_ context.Context, d *broker.Delivery) { d.Ack() }})
		if i%6 == 1 {
			proxy.Refuse()
		}
		if i%6 == 2 {
			proxy.Stall()
		}
		if err := link.Start(within(t)); err != nil {
			t.Fatal(err)
		}
		var publishing sync.WaitGroup
		if i%6 >= 3 {
			if err := link.Wait(within(t)); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				publishing.Go(func() { _ = publisher.Publish(context.Background(), to("work", "1")) })
			}
		}
		if i%6 == 4 {
			proxy.Stall()
		}
		if i%6 == 5 {
			proxy.Cut()
		}
		sleepAbout(time.Duration(i) * time.Millisecond)
		for range 2 {
			if err := link.Stop(within(t)); err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
		}
		publishing.Wait()
		if err := publisher.Publish(t.Context(), to("work", "1")); !errors.Is(err, broker.ErrClosed) {
			t.Fatalf("publish after stop: got %v", err)
		}
	}
}

// sleepAbout lets different things be under way in each round; nothing depends on it.
func sleepAbout(d time.Duration) { <-time.After(d) }

func TestTheLinkDropsWhileManyWaitForIt(t *testing.T) {
	t.Parallel()
	host := brokertest.New(t)
	proxy := host.Proxy(t)
	proxy.Refuse()
	config := host.Config(t, "waited for")
	config.URL = host.ProxyURL(proxy)
	link := broker.NewLink(config)
	stopAtEnd(t, link)
	answers := make(chan error, 10)
	for range 5 {
		go func() { answers <- link.Wait(within(t)) }()
		go func() { answers <- link.WaitReady(within(t)) }()
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := link.Wait(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "broker") {
		t.Fatalf("got %v", err)
	}
	proxy.Heal()
	for range 10 {
		if err := receive(t, "an answer", answers); err != nil {
			t.Fatal(err)
		}
	}
}
