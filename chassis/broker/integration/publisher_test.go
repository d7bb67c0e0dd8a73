package integration

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// publishing is a link with a publisher, through a proxy.
type publishing struct {
	*broker.Publisher
	host  *brokertest.Broker
	link  *broker.Link
	proxy *linktest.Proxy
}

func newPublishing(t testing.TB, cfg broker.PublisherConfig, declared ...topology.Topology) *publishing {
	t.Helper()
	host := brokertest.New(t)
	p := &publishing{host: host, proxy: host.Proxy(t)}
	config := host.Config(t, "publisher")
	config.URL = host.ProxyURL(p.proxy)
	p.link = broker.NewLink(config)
	declaring(p.link, topology.Merge(declared...))
	p.Publisher = broker.NewPublisher(p.link, cfg)
	brokertest.Start(t, p.link)
	return p
}

func (p *publishing) expect(t testing.TB, m message.Message, want error) {
	t.Helper()
	if err := p.Publish(within(t), m); !errors.Is(err, want) {
		t.Fatalf("publish %s: got %v, want %v", m.ID, err, want)
	}
}

func TestPublishArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	sent := message.Message{
		Exchange: "in", Key: "work", Mandatory: true, ID: "1", Type: "command", ContentType: "application/json",
		CorrelationID: "c", ReplyTo: "r", AppID: "test", Expiration: time.Hour, Timestamp: time.Unix(1_700_000_000, 0),
		Headers: map[string]any{
			"qos": int8(0), "n": int64(1 << 40), "yes": true, "raw": []byte{0, 255},
			"deep": map[string]any{"list": []any{"a", int64(1)}},
		},
		Body: []byte(strings.Repeat("a long body ", 100_000)), // several frames
	}
	p.expect(t, sent, nil)
	got := p.host.Get(t, "work")
	sent.Mandatory = false // not a property of the message
	if !reflect.DeepEqual(got, sent) {
		got.Body, sent.Body = nil, nil
		t.Fatalf("got  %+v\nwant %+v", got, sent)
	}
}

func TestUnroutable(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	p.expect(t, to("nowhere", "1"), broker.ErrUnroutable)
	optional := to("nowhere", "2")
	optional.Mandatory = false
	p.expect(t, optional, nil)
}

// TestReturnsAreMatched: under load, and with ids in common, each publisher gets its own
// message's answer.
func TestReturnsAreMatched(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{Window: 64}, quorum("work", nil))
	ctx := within(t)
	const n = 2000
	var routed atomic.Int64
	answers := make(chan error, n)
	for i := range n {
		m := to("work", fmt.Sprint(i%7)) // many under way with the same id
		want := error(nil)
		if i%3 == 0 {
			m.Key, want = "nowhere", broker.ErrUnroutable
		} else {
			routed.Add(1)
		}
		p.Submit(ctx, m, func(err error) {
			if errors.Is(err, want) {
				err = nil
			} else {
				err = fmt.Errorf("message %d: got %w, not %v", i, err, want) //nolint:errorlint // only one is the cause
			}
			answers <- err
		})
	}
	for range n {
		if err := receive(t, "an answer", answers); err != nil {
			t.Error(err)
		}
	}
	if depth := p.host.Depth(t, "work"); int64(depth) != routed.Load() {
		t.Fatalf("%d in the queue, %d confirmed", depth, routed.Load())
	}
}

// TestTheSameMessageTwiceWhileTheBindingChanges: of several alike under way, those that
// were returned are told so, and no others.
func TestTheSameMessageTwiceWhileTheBindingChanges(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	binding := topology.Binding{Source: "in", Key: "work", Destination: "work"}
	changing, stop := context.WithCancel(within(t))
	var changes sync.WaitGroup
	changes.Go(func() {
		for changing.Err() == nil {
			p.host.Do(t, "unbind", func(ctx context.Context, s *broker.Session) error { return s.Unbind(ctx, binding) })
			p.host.Do(t, "bind", func(ctx context.Context, s *broker.Session) error { return s.Bind(ctx, binding) })
		}
	})
	const n = 5000
	var routed, returned atomic.Int64
	var pending sync.WaitGroup
	for range n {
		pending.Add(1)
		p.Submit(changing, to("work", "the same"), func(err error) {
			defer pending.Done()
			switch {
			case err == nil:
				routed.Add(1)
			case errors.Is(err, broker.ErrUnroutable):
				returned.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	pending.Wait()
	stop()
	changes.Wait()
	t.Logf("%d routed, %d returned", routed.Load(), returned.Load())
	if depth := p.host.Depth(t, "work"); int64(depth) != routed.Load() || routed.Load()+returned.Load() != n {
		t.Fatalf("%d in the queue, %d said to be routed, %d returned", depth, routed.Load(), returned.Load())
	}
}

// TestRefused: a full queue's refusals reach the right publishers while another queue,
// published to at the same time, takes everything.
func TestRefused(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{Window: 32}, quorum("work", nil),
		quorum("full", map[string]any{"x-max-length": int64(10), "x-overflow": "reject-publish"}))
	ctx := within(t)
	const n = 1000
	var taken, refused atomic.Int64
	var pending sync.WaitGroup
	for i := range n {
		pending.Add(2)
		p.Submit(ctx, to("full", fmt.Sprint("f", i)), func(err error) {
			defer pending.Done()
			switch {
			case err == nil:
				taken.Add(1)
			case errors.Is(err, broker.ErrRefused):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
		p.Submit(ctx, to("work", fmt.Sprint("w", i)), func(err error) {
			defer pending.Done()
			if err != nil {
				t.Error(err)
			}
		})
	}
	pending.Wait()
	if refused.Load() == 0 {
		t.Fatal("nothing was refused")
	}
	if depth := p.host.Depth(t, "full"); int64(depth) != taken.Load() {
		t.Fatalf("%d in the full queue, %d said to be taken", depth, taken.Load())
	}
	if depth := p.host.Depth(t, "work"); depth != n {
		t.Fatalf("%d in the other queue, want %d", depth, n)
	}
}

func TestInDoubtWhenTheConfirmIsLost(t *testing.T) {
	t.Parallel()
	p := newPublishing(t, broker.PublisherConfig{}, quorum("work", nil))
	lost := p.proxy.LoseAnswer([]byte("body of 1"))
	p.expect(t, to("work", "1"), broker.ErrInDoubt)
	closed(t, "the loss", lost)
	if err := p.link.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
	p.expect(t, to("work", "2"), nil)
	if got := p.host.GetSome(t, "work", 2); got[0].ID != "1" || got[1].ID != "2" {
		t.Fatalf("got %s and %s", got[0].ID, got[1].ID)
	}
}
