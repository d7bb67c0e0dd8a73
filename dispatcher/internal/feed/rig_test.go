package feed_test

import (
	"context"
	"flag"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/dispatcher/internal/feed"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs a broker
	}
	goleak.VerifyTestMain(m)
}

const limit = time.Minute

// engine is the domain as a test directs it.
type engine struct {
	run  func(ctx, waiting context.Context, c *dispatch.Command) (dispatch.Verdict, error)
	mu   sync.Mutex
	held int
	sign chan struct{}
	runs map[uuid.UUID]int
}

func (e *engine) Run(ctx, waiting context.Context, c *dispatch.Command) (dispatch.Verdict, error) {
	e.mu.Lock()
	e.runs[c.ID]++
	e.mu.Unlock()
	return e.run(ctx, waiting, c)
}

func (e *engine) Held() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held
}

func (e *engine) HeldChanged() <-chan struct{} { return e.sign }

func (e *engine) hold(n int) {
	e.mu.Lock()
	e.held = n
	e.mu.Unlock()
	e.sign <- struct{}{}
}

func (e *engine) ran(id uuid.UUID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runs[id]
}

// rig is a lane's feed on a virtual host of its own.
type rig struct {
	broker                *brokertest.Broker
	engine                *engine
	work                  *feed.Work
	sender                *feed.Sender
	metrics               *feed.Metrics
	registry              *prometheus.Registry
	publishing, consuming *broker.Link
	publishes, consumes   *linktest.Proxy
	gate                  *gate
}

// gate is the lane's, open until a test shuts it.
type gate struct {
	shut    atomic.Bool
	changed chan struct{}
}

func (g *gate) Open(context.Context) (bool, error) { return !g.shut.Load(), nil }

func (g *gate) Changed() <-chan struct{} { return g.changed }

func (g *gate) set(shut bool) {
	g.shut.Store(shut)
	g.changed <- struct{}{}
}

var (
	workQueue = topology.WorkQueue("default")
	deadQueue = topology.DeadQueue
	mailbox   = topology.MailboxQueue
	back      = topology.Merge(topology.Dead(), topology.Replies())
)

// prepare makes everything but the feed.
func prepare(t *testing.T) *rig {
	t.Helper()
	return prepareOn(t, topology.Whole(topology.DefaultLane()))
}

func prepareOn(t *testing.T, ways topology.Topology) *rig {
	t.Helper()
	r := &rig{
		broker: brokertest.New(t), registry: prometheus.NewRegistry(),
		engine: &engine{sign: make(chan struct{}, 1), runs: map[uuid.UUID]int{}},
		gate:   &gate{changed: make(chan struct{}, 1)},
	}
	r.broker.Declare(t, ways)
	r.publishes, r.consumes = r.broker.Proxy(t), r.broker.Proxy(t)
	link := func(name string, p *linktest.Proxy) *broker.Link {
		cfg := r.broker.Config(t, name)
		cfg.URL = r.broker.ProxyURL(p)
		return broker.NewLink(cfg)
	}
	r.publishing, r.consuming = link("publish", r.publishes), link("consume", r.consumes)
	publisher := broker.NewPublisher(r.publishing, broker.PublisherConfig{})
	var err error
	if r.metrics, err = feed.NewMetrics(r.registry); err != nil {
		t.Fatal(err)
	}
	r.sender = feed.NewSender(r.publishing, publisher, back, zaptest.NewLogger(t), r.metrics)
	brokertest.Start(t, r.publishing)
	return r
}

// newRig starts a lane's feed on an engine that does what run says.
func newRig(t *testing.T, run func(ctx, waiting context.Context, c *dispatch.Command) (dispatch.Verdict, error)) *rig {
	t.Helper()
	r := prepare(t)
	r.start(t, run)
	return r
}

func (r *rig) start(t *testing.T, run func(ctx, waiting context.Context, c *dispatch.Command) (dispatch.Verdict, error)) {
	t.Helper()
	r.engine.run = run
	r.work = feed.NewWork(r.consuming, feed.WorkConfig{
		Lane: "default", Concurrency: 8, Engine: r.engine, Gate: r.gate, Now: time.Now, Sender: r.sender, Log: zaptest.NewLogger(t), Metrics: r.metrics,
	})
	if err := r.work.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	brokertest.Start(t, r.consuming)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.work.Stop(ctx) // a test that cares stops it by itself
	})
}

// count sums a metric over all its labels.
func (r *rig) count(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// reconnected cuts a link, and returns when it is up again.
func reconnected(t *testing.T, link *broker.Link, cut func()) {
	t.Helper()
	before := link.Status().Generation
	cut()
	brokertest.Eventually(t, "the link is up again", func() bool {
		return link.Status().Generation > before && link.Ready() == nil
	})
}

func command(body string) envelope.Command {
	now := time.Now()
	return envelope.Command{
		Lane: "default", Tenant: "acme", Device: "lamp-1", Client: "app", ID: uuid.Must(uuid.NewV7()),
		DeviceType: "lamp", Driver: "mqtt", Timeout: 5 * time.Second, Accepted: now, Deadline: now.Add(time.Minute), Body: []byte(body),
	}
}

const setRelay = `{"jsonrpc":"2.0","id":"c-1","method":"relay.set"}`

// answered is the verdict of a command that its device has answered.
func answered(c *dispatch.Command) dispatch.Verdict {
	return dispatch.Verdict{Outcome: c.Outcome(&dispatch.Decided{
		At: time.Now(), Origin: envelope.OriginDevice, Body: []byte(`{"jsonrpc":"2.0","id":"c-1","result":1}`),
	})}
}

// publish sends a command as an api does.
func (r *rig) publish(t *testing.T, c envelope.Command) message.Message {
	t.Helper()
	m := c.Message(time.Now())
	r.broker.Publish(t, m)
	return m
}

func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(limit):
		t.Fatalf("not within %s: %s", limit, what)
		panic("unreachable")
	}
}
