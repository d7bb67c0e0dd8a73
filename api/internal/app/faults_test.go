package app

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
)

// brokerThrough starts a world whose way to the broker can be broken.
func brokerThrough(t *testing.T, publishTimeout time.Duration) (*world, *linktest.Proxy) {
	var proxy *linktest.Proxy
	w := newWorld(t, func(w *world, s *Settings) {
		proxy = w.broker.Proxy(t)
		s.AMQPURL = settings.Secret(w.broker.ProxyURL(proxy))
		s.PublishTimeout = publishTimeout
	})
	return w, proxy
}

// databaseThrough starts a world whose way to the database can be broken, and does something before it starts.
func databaseThrough(t *testing.T, before func(w *world)) (*world, *linktest.Proxy) {
	var proxy *linktest.Proxy
	w := newWorld(t, func(w *world, s *Settings) {
		before(w)
		proxy = w.database.Proxy(t)
		s.DatabaseURL, s.Look = settings.Secret(w.database.ProxyURL(proxy)), lookLimit
	})
	return w, proxy
}

const (
	// quick is what is done without waiting for anything, on a machine that may be busy.
	quick = 8 * time.Second
	// storeLimit is what a request may wait for a database that hangs.
	storeLimit = 5 * time.Second
)

func TestBrokerDownIsToldAtOnce(t *testing.T) {
	t.Parallel()
	w, proxy := brokerThrough(t, 20*time.Second)
	w.expect(w.post("lamp-1", set), 202, "")
	proxy.Refuse()
	// A post that races with the cut may be in doubt; from then on every one is refused.
	brokertest.Eventually(t, "the link is seen to be down", func() bool { return w.post("lamp-1", set).status == 503 })
	for _, body := range []string{set, "[" + set + "," + set + "]"} {
		got := w.post("lamp-1", body)
		w.expect(got, 503, "broker_unavailable")
		if got.took > quick || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, `"id":"c-42"`) {
			t.Errorf("after %s: %v %v", got.took, got, got.header)
		}
	}
	if missing := w.missing(); !strings.Contains(missing, `"amqp"`) {
		t.Errorf("/readyz says %s", missing)
	}
	w.expect(w.do("GET", "/v1/devices/lamp-1", ""), 200, "") // what needs no broker goes on
	proxy.Heal()
	w.waitReady()
	w.expect(w.post("lamp-1", set), 202, "")
}

// What was declared is declared again when the broker comes back without it.
func TestQueuesAreDeclaredOnReconnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.laneOf("gone", nil)
	w.deleteQueue("gone")
	w.expect(w.post("gone", set), 503, "lane_unavailable")
	before := w.app.link.Status().Generation
	w.broker.Cut(t, "api")
	brokertest.Eventually(t, "the link is another", func() bool {
		s := w.app.link.Status()
		return s.Generation > before && s.State == broker.Up
	})
	if !w.broker.QueueExists(t, topology.WorkQueue("gone")) {
		t.Error("the queue is not back")
	}
	w.waitReady()
	w.expect(w.post("gone", set), 202, "")
}

// A queue that exists with other arguments is used as it is, and reported.
func TestDrift(t *testing.T) {
	t.Parallel()
	w := prepare(t)
	other := topology.DefaultLane()
	other.MaxLength = 7
	w.broker.Declare(t, topology.Commands(other))
	w.start(func(*Settings) {})
	w.waitReady()
	if n := w.metric("cupline_topology_drift"); n != 1 {
		t.Errorf("%v drifts", n)
	}
	w.expect(w.post("lamp-1", set), 202, "")
}

// Sent, and the link dies before the confirm: in doubt, and said so; here the command is on the queue.
func TestLinkCutBeforeTheConfirm(t *testing.T) {
	t.Parallel()
	w, proxy := brokerThrough(t, 20*time.Second)
	d := w.laneOf("doubt", nil)
	lost := proxy.LoseAnswer([]byte(`"id":"c-42"`))
	got := w.post(d, set)
	<-lost
	w.expect(got, 504, "in_doubt")
	m := w.broker.Get(t, topology.WorkQueue("doubt"))
	if string(m.Body) != set || !strings.Contains(got.body, `"command_id":"`+m.ID+`"`) || !strings.Contains(got.body, `"id":"c-42"`) {
		t.Errorf("%v, on the queue %s %s", got, m.ID, m.Body)
	}
	w.waitReady()
	proxy.LoseAnswer([]byte(`"id":"c-43"`))
	both := w.post(d, "["+strings.Replace(set, "c-42", "c-43", 1)+"]")
	w.expect(both, 504, "in_doubt")
	if !strings.Contains(both.body, `"items":[{"state":"in_doubt","id":"c-43","command_id":"`) {
		t.Errorf("%v", both)
	}
}

// A broker that takes bytes and says nothing is waited for no longer than was set.
func TestSilentBrokerIsInDoubt(t *testing.T) {
	t.Parallel()
	const limit = 5 * time.Second // a broker that is only busy confirms within it
	w, proxy := brokerThrough(t, limit)
	w.expect(w.post("lamp-1", set), 202, "")
	proxy.Stall()
	got := w.post("lamp-1", set)
	w.expect(got, 504, "in_doubt")
	if got.took < limit || got.took > limit+quick {
		t.Errorf("after %s", got.took)
	}
	proxy.Heal()
	brokertest.Eventually(t, "commands are taken again", func() bool { return w.post("lamp-1", set).status == 202 })
}

func TestBlockedBroker(t *testing.T) {
	t.Parallel()
	w, proxy := brokerThrough(t, 20*time.Second)
	brokertest.Block(proxy, "low on memory")
	brokertest.Eventually(t, "the alarm is heard", func() bool { return strings.Contains(w.missing(), `"amqp"`) })
	got := w.post("lamp-1", set)
	w.expect(got, 503, "broker_blocked")
	if got.took > quick || got.header.Get("Retry-After") == "" {
		t.Errorf("after %s: %v", got.took, got.header)
	}
	brokertest.Unblock(proxy)
	w.waitReady()
	w.expect(w.post("lamp-1", set), 202, "")
}

// With Postgres away, what is in memory goes on as before, quickly; what is not is refused and said so.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*linktest.Proxy){"Refuses": (*linktest.Proxy).Refuse, "Hangs": (*linktest.Proxy).Stall} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var chief string
			w, proxy := databaseThrough(t, func(w *world) {
				chief = w.newKey("acme", "chief", auth.OpsPlatform) // who is never here before; and nobody listens yet: being told of a key is to forget it
			})
			w.putDevice(device.Device{Tenant: "acme", ID: "cold", Type: "lamp"})
			unused := w.newKey("acme", "late", auth.DevicesRead)
			brokertest.Eventually(t, "all that a command needs is in memory", func() bool { return w.post("lamp-1", set).status == 202 })
			queues := func() answer { return w.do("GET", "/v1/queues", "", "Authorization", "Bearer "+chief) }
			brokertest.Within(t, 60*time.Second, "the operator's key is known", func() bool { return w.app.verifier.Remembers(chief) })
			breakIt(proxy)
			for range 3 {
				if got := w.post("lamp-1", set); got.status != 202 || got.took > 4*lookLimit+quick {
					t.Errorf("what is in memory goes on: after %s %v", got.took, got)
				}
			}
			w.expect(queues(), 200, "") // where it piles up is seen now, if ever
			var asked sync.WaitGroup
			for _, ask := range []func() answer{
				func() answer { return w.post("cold", set) },
				func() answer { return w.do("GET", "/v1/devices/lamp-1", "") },
				func() answer { return w.do("GET", "/v1/mailbox?wait=1s", "") },
				func() answer { return w.do("GET", "/v1/commands?id=x", "") },
				func() answer { return w.do("PUT", "/v1/devices/new", `{"type":"lamp"}`) },
				func() answer { return w.do("GET", "/v1/lanes", "", "Authorization", "Bearer "+unused) },
			} {
				asked.Go(func() {
					got := ask()
					w.expect(got, 503, "database_unavailable")
					if got.took > storeLimit+quick || got.header.Get("Retry-After") == "" {
						t.Errorf("after %s: %v %v", got.took, got, got.header)
					}
				})
			}
			asked.Wait()
			// Until it is known that changes are not told any more, and then what is in memory may be old.
			brokertest.Within(t, 60*time.Second, "/readyz says so", func() bool {
				if got := queues(); got.status != 200 || got.took > 4*lookLimit+quick {
					t.Errorf("the queues, after %s: %v", got.took, got)
				}
				missing := w.missing()
				return strings.Contains(missing, `"postgres"`) && strings.Contains(missing, `"notifications"`)
			})
			for range 3 {
				if got := queues(); got.status != 200 || got.took > 4*lookLimit+quick {
					t.Errorf("the queues, after %s: %v", got.took, got)
				}
			}
			if got := w.post("lamp-1", set); got.status != 202 || got.took > 4*lookLimit+quick {
				t.Errorf("and still: after %s %v", got.took, got)
			}
			proxy.Heal()
			brokertest.Within(t, 60*time.Second, "it is ready again", func() bool { return w.missing() == "" })
			w.expect(w.post("cold", set), 202, "")
			w.expect(w.do("PUT", "/v1/devices/new", `{"type":"lamp"}`), 201, "")
		})
	}
}

// Broker and api start while Postgres is away: what needs no lanes is up, and all is well once it is there.
func TestStartWithoutDatabase(t *testing.T) {
	t.Parallel()
	var proxy *linktest.Proxy
	w := prepare(t)
	w.start(func(s *Settings) {
		proxy = w.database.Proxy(t)
		proxy.Refuse()
		s.DatabaseURL = settings.Secret(w.database.ProxyURL(proxy))
	})
	brokertest.Eventually(t, "only the database is missing", func() bool {
		missing := w.missing()
		return strings.Contains(missing, `"postgres"`) && strings.Contains(missing, `"topology"`) && !strings.Contains(missing, `"amqp"`)
	})
	w.expect(w.post("lamp-1", set), 503, "database_unavailable")
	if !w.broker.QueueExists(t, topology.DeadQueue) {
		t.Error("what needs no lanes is declared all the same")
	}
	proxy.Heal()
	brokertest.Within(t, 60*time.Second, "it is ready", func() bool { return w.missing() == "" })
	w.expect(w.post("lamp-1", set), 202, "")
}

// At the end: not ready, long polls answered at once, requests under way finished, nothing left behind.
func TestStop(t *testing.T) {
	t.Parallel()
	w, proxy := brokerThrough(t, 8*time.Second) // time to see that the post is under way
	polled, posted := make(chan answer, 1), make(chan answer, 1)
	me := w.as("patient")
	go func() { polled <- w.do("GET", "/v1/mailbox?wait=60s", "", me...) }()
	brokertest.Eventually(t, "the poll waits", func() bool { return w.metric("cupline_api_long_polls") == 1 })
	proxy.Stall()
	go func() { posted <- w.post("lamp-1", set) }()
	brokertest.Eventually(t, "the post is under way", func() bool { return w.metric("cupline_api_requests_under_way") == 2 })
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	if got := <-polled; got.status != 200 || got.body != `{"outcomes":[],"waiting":0}` || got.took > 20*time.Second {
		t.Errorf("the poll, after %s: %v", got.took, got)
	}
	w.expect(<-posted, 504, "in_doubt")
	proxy.Heal()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := w.base.RoundTrip(must(http.NewRequest("GET", "http://"+w.app.Addr()+"/v1/lanes", nil))); err == nil {
		t.Error("the port still answers")
	}
}

func TestWhatCannotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	second := w.app.cfg
	second.Listen = w.app.Addr()
	app, err := New(context.Background(), second, w.app.log, zap.NewAtomicLevel())
	w.check(err)
	if err := app.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "listen on the public port") {
		t.Errorf("two on one port: %v", err)
	}
}
