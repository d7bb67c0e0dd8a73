package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/message"
)

func TestUnavailableAtOnceWhileDown(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	p.proxy.Refuse()
	brokertest.Eventually(t, "the link is down", func() bool { return p.link.Status().State == broker.Down })
	began := time.Now()
	err := p.Publish(within(t), to("work", "1"))
	if took := time.Since(began); !errors.Is(err, broker.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || took > limit/6 {
		t.Fatalf("got %v after %s, want it said without a wait for the link", err, took)
	}
	if err := p.link.Ready(); err == nil || !strings.Contains(err.Error(), "no link to the broker") {
		t.Fatalf("ready says %v", err)
	}
	p.proxy.Heal()
	if err := p.link.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	p.expect(t, to("work", "2"), nil)
	if got := p.host.Get(t, "work"); got.ID != "2" {
		t.Fatalf("got %s: the first one was said not to be sent", got.ID)
	}
}

func TestAPublishEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{Window: 1}, quorum("work", nil))
	p.proxy.Stall()
	sent := p.proxy.Seen([]byte("body of 1")) // a context that ends before is another thing
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first := make(chan error, 1)
	go func() { first <- p.Publish(ctx, to("work", "1")) }()
	closed(t, "the first message", sent)
	cancel()
	if err := receive(t, "the first one's end", first); !errors.Is(err, broker.ErrInDoubt) || !errors.Is(err, context.Canceled) {
		t.Fatalf("sent, and not confirmed in time: got %v", err)
	}
	short, end := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer end()
	if err := p.Publish(short, to("work", "2")); !errors.Is(err, broker.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the window is full: got %v", err)
	}
	p.proxy.Heal()
	p.expect(t, to("work", "3"), nil) // the place in the window came back
	if got := p.host.GetSome(t, "work", 2); got[0].ID != "1" || got[1].ID != "3" {
		t.Fatalf("got %s and %s", got[0].ID, got[1].ID)
	}
}

// TestAStuckWriteHoldsNobody: while the socket takes no more, what is being written is in
// doubt, and what waits behind it is known not to be sent.
func TestAStuckWriteHoldsNobody(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	p.proxy.Stall()
	big := to("work", "big")
	big.Body = make([]byte, 32<<20)      // more than the socket's buffers hold
	begun := p.proxy.Seen([]byte("big")) // its id, which goes before the body
	stuck := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.Submit(ctx, big, func(err error) { stuck <- err })
	closed(t, "its beginning", begun)
	behind, cancelBehind := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancelBehind()
	if err := p.Publish(behind, to("work", "behind")); !errors.Is(err, broker.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("behind the stuck one: got %v", err)
	}
	cancel()
	if err := receive(t, "the stuck one", stuck); !errors.Is(err, broker.ErrInDoubt) {
		t.Fatalf("being written: got %v", err)
	}
	p.proxy.Heal()
	p.expect(t, to("work", "after"), nil)
	if got := p.host.GetSome(t, "work", 2); got[0].ID != "big" || got[1].ID != "after" {
		t.Fatalf("got %s and %s", got[0].ID, got[1].ID)
	}
	p.host.Empty(t, "work")
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	brokertest.Block(p.proxy, "low on memory")
	waitFor(t, p.link, "blocked", func(s broker.Status) bool { return s.Blocked })
	p.expect(t, to("work", "1"), broker.ErrBlocked)
	if reason, blocked := p.link.Blocked(); !blocked || reason != "low on memory" {
		t.Fatalf("blocked %t because of %q", blocked, reason)
	}
	if err := p.link.Ready(); err == nil || err.Error() != "the broker takes no messages: low on memory" {
		t.Fatalf("ready says %v", err)
	}
	brokertest.Unblock(p.proxy)
	if err := p.link.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	p.expect(t, to("work", "2"), nil)
	p.host.Get(t, "work")
	p.host.Empty(t, "work")
	brokertest.Block(p.proxy, "low on disk")
	waitFor(t, p.link, "blocked", func(s broker.Status) bool { return s.Blocked })
	p.proxy.Cut()
	waitFor(t, p.link, "up again", func(s broker.Status) bool { return s.Generation == 2 && s.State == broker.Up })
	p.expect(t, to("work", "3"), nil)
}

func TestAMissingExchangeRecyclesTheLink(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	p.host.Do(t, "delete", func(ctx context.Context, s *broker.Session) error { return s.DeleteExchange(ctx, "in") })
	p.expect(t, to("work", "1"), broker.ErrInDoubt)
	waitFor(t, p.link, "up again", func(s broker.Status) bool { return s.Generation == 2 && s.State == broker.Up })
	p.expect(t, to("work", "2"), nil) // the link's steps declared it
}

func TestAnInvalidMessageHurtsNobody(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	p.expect(t, to("work", strings.Repeat("x", 256)), broker.ErrInvalid)
	p.expect(t, message.Message{Exchange: "in", Key: "work", Headers: map[string]any{"a": struct{}{}}}, broker.ErrInvalid)
	p.expect(t, to("work", "1"), nil)
	if generation := p.link.Status().Generation; generation != 1 {
		t.Fatalf("the link is in generation %d", generation)
	}
}

// TestEverySubmissionIsAnsweredOnce while the link is cut again and again; what is said to
// be safe is in the queue, and what is said not to be sent is not.
func TestEverySubmissionIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{Window: 128}, quorum("work", nil))
	ctx := within(t)
	const rounds, each = 4, 1000
	var mu sync.Mutex
	safe, unsent := map[string]bool{}, map[string]bool{}
	inDoubt := 0
	for round := range rounds {
		if err := p.link.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		var pending sync.WaitGroup
		for i := range each {
			id := fmt.Sprint(round*each + i)
			pending.Add(1) // done a second time would panic
			if i == each/2 {
				p.proxy.Cut()
			}
			p.Submit(ctx, to("work", id), func(err error) {
				defer pending.Done()
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					safe[id] = true
				case errors.Is(err, broker.ErrUnavailable):
					unsent[id] = true
				case errors.Is(err, broker.ErrInDoubt):
					inDoubt++
				default:
					t.Error(err)
				}
			})
		}
		pending.Wait()
	}
	t.Logf("%d safe, %d unsent, %d in doubt", len(safe), len(unsent), inDoubt)
	if len(safe)+len(unsent)+inDoubt != rounds*each || len(safe) == 0 || inDoubt == 0 {
		t.Fatal("that is not what was to be tried")
	}
	for _, m := range p.host.GetSome(t, "work", p.host.Depth(t, "work")) {
		if unsent[m.ID] {
			t.Errorf("%s is in the queue, and was said not to be sent", m.ID)
		}
		delete(safe, m.ID)
	}
	if len(safe) != 0 {
		t.Fatalf("%d are not in the queue, and were said to be safe", len(safe))
	}
}
