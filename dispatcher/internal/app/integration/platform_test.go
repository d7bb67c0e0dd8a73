// Package integration runs whole dispatchers on a real broker, a real Postgres and real
// devices.
package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/dispatcher/internal/app"
	"github.com/cupline/cupline/dispatcher/internal/dispatchtest"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/registry"
)

func TestMain(m *testing.M) { dispatchtest.Main(m) }

var (
	workQueue = topology.WorkQueue("default")
	deadQueue = topology.DeadQueue
	mailbox   = topology.MailboxQueue
)

// platform is what dispatchers work on: a broker, a database, and the tenant acme with
// device types for each driver.
type platform struct {
	broker   *brokertest.Broker
	database *postgrestest.Database
	pool     *postgres.Pool
	registry *registry.Store
}

func newPlatform(t testing.TB) *platform {
	t.Helper()
	owner := dispatchtest.Database(t)
	p := &platform{broker: brokertest.New(t), database: owner.As(t, string(migrations.Dispatcher), string(migrations.Recorder))}
	p.pool = owner.Pool(t)
	p.registry = registry.New(p.pool)
	p.broker.Declare(t, topology.Whole(topology.DefaultLane()))
	p.exec(t, "insert into tenants (tenant) values ('acme')")
	for _, driver := range []string{"http", "mqtt", "noop"} {
		if _, err := p.registry.PutType(t.Context(), device.Type{Tenant: "acme", Name: driver, Lane: "default", Driver: driver}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *platform) exec(t testing.TB, statement string) {
	t.Helper()
	if _, err := p.pool.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// put registers a device.
func (p *platform) put(t testing.TB, name, driver, url string) {
	t.Helper()
	d := device.Device{Tenant: "acme", ID: name, Type: driver}
	if url != "" {
		d.Address, _ = json.Marshal(map[string]string{"url": url})
	}
	if _, err := p.registry.PutDevice(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// dispatcher is one process, whose links can be broken.
type dispatcher struct {
	app            *app.App
	broker, tables *linktest.Proxy
	end            context.CancelFunc
	ended          chan error
}

// start starts a process and waits until it is ready.
func (p *platform) start(t testing.TB, environ ...string) *dispatcher {
	t.Helper()
	d := p.launch(t, environ...)
	brokertest.Eventually(t, "the dispatcher is ready", func() bool { return d.get("/readyz") == "" })
	return d
}

// launch starts a process. It is stopped when the test ends.
func (p *platform) launch(t testing.TB, environ ...string) *dispatcher {
	t.Helper()
	d := p.process(t)
	p.run(t, d, environ...)
	return d
}

// process is one that is not started yet: its links may be broken before.
func (p *platform) process(t testing.TB) *dispatcher {
	t.Helper()
	return &dispatcher{broker: p.broker.Proxy(t), tables: p.database.Proxy(t), ended: make(chan error, 1)}
}

func (p *platform) run(t testing.TB, d *dispatcher, environ ...string) {
	t.Helper()
	var cfg app.Settings
	if err := settings.Load(&cfg, append([]string{
		"AMQP_URL=" + p.broker.ProxyURL(d.broker), "DATABASE_URL=" + p.database.ProxyURL(d.tables),
		"CUPLINE_HTTP_ALLOWED_NETWORKS=127.0.0.0/8", "CUPLINE_NOOP_DRIVER=true", "CUPLINE_INTERNAL_ADDR=127.0.0.1:0",
		"CUPLINE_DRAIN=5s", "CUPLINE_DEVICE_LIMIT=1000",
	}, environ...)); err != nil {
		t.Fatal(err)
	}
	log := zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	if d.app, err = app.New(ctx, cfg, log, zap.NewAtomicLevel()); err != nil {
		t.Fatal(err)
	}
	d.end = cancel
	go func() { d.ended <- d.app.Run(ctx) }()
	t.Cleanup(func() {
		d.broker.Heal()
		d.tables.Heal()
		_ = d.stop(t)
	})
}

// stop ends the process as SIGTERM does, and returns what it says.
func (d *dispatcher) stop(t testing.TB) error {
	t.Helper()
	d.end()
	select {
	case err := <-d.ended:
		d.ended <- err
		return err
	case <-time.After(2 * dispatchtest.Limit):
		t.Fatal("the dispatcher does not end")
		return nil
	}
}

// kill ends the process as SIGKILL does, as far as anybody outside can tell: nothing
// leaves it any more.
func (d *dispatcher) kill(t *testing.T) {
	t.Helper()
	d.broker.Refuse()
	d.tables.Refuse()
	_ = d.stop(t) // it has things to complain about
}

// get asks the internal port; empty is an empty answer with status 200, or that of /readyz
// and /healthz when all is well.
func (d *dispatcher) get(path string) string {
	if d.app.Addr() == "" {
		return "not listening yet"
	}
	response, err := http.Get("http://" + d.app.Addr() + path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	if response.StatusCode == http.StatusOK && path != "/metrics" {
		return ""
	}
	return string(body)
}

// metric is the sum of the samples of a family whose labels hold all the given texts.
func (d *dispatcher) metric(name string, labels ...string) (sum float64) {
	for line := range strings.Lines(d.get("/metrics")) {
		rest, found := strings.CutPrefix(line, name)
		if !found || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(rest, label)
		}
		var value float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &value); err == nil && matches {
			sum += value
		}
	}
	return sum
}

// post publishes a command as an api does once it has accepted it.
func (p *platform) post(t *testing.T, body, driver, name string, change ...func(*envelope.Command)) envelope.Command {
	t.Helper()
	c := dispatchtest.Envelope(body, append([]func(*envelope.Command){func(c *envelope.Command) {
		c.Driver, c.DeviceType, c.Device = driver, driver, name
	}}, change...)...)
	p.broker.Publish(t, c.Message(time.Now()))
	return c
}

// outcome takes the next outcome.
func (p *platform) outcome(t *testing.T) envelope.Outcome {
	t.Helper()
	return parse(t, p.broker.Get(t, mailbox))
}

func parse(t *testing.T, m message.Message) envelope.Outcome {
	t.Helper()
	o, err := envelope.ParseOutcome(&m)
	if err != nil {
		t.Errorf("outcome %+v: %v", m, err)
	}
	return o
}

// says holds an outcome to its command, reason and words.
func says(t *testing.T, o envelope.Outcome, c envelope.Command, words string) {
	t.Helper()
	if o.CommandID != c.ID || !strings.Contains(string(o.Body), words) {
		t.Errorf("the outcome of %s is %s, want that of %s with %s", o.CommandID, o.Body, c.ID, words)
	}
}

// settled fails the test unless nothing is left on any queue.
func (p *platform) settled(t *testing.T) {
	t.Helper()
	brokertest.Eventually(t, "everything is acknowledged", func() bool { return p.broker.Depth(t, workQueue) == 0 })
	for _, queue := range []string{workQueue, deadQueue, mailbox} {
		p.broker.Empty(t, queue)
	}
}

func (p *platform) letters(t *testing.T, tenant string) []deadletter.Letter {
	t.Helper()
	letters, err := deadletter.New(p.pool).List(t.Context(), tenant, time.Time{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

func (p *platform) trail(t *testing.T, tenant string) []audit.Entry {
	t.Helper()
	entries, err := audit.New(p.pool).List(t.Context(), tenant, time.Time{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// gadget is a device on HTTP that counts what it executes.
type gadget struct {
	server *httptest.Server
	// before runs before each answer; nil for nothing.
	before func(r *http.Request, method string)

	mu   sync.Mutex
	runs map[string]int // by the id that it sees
}

// newGadget makes a device and registers it.
func (p *platform) newGadget(t *testing.T, name string, before func(r *http.Request, method string)) *gadget {
	t.Helper()
	g := &gadget{before: before, runs: map[string]int{}}
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	t.Cleanup(g.server.Close)
	p.put(t, name, "http", g.server.URL)
	return g
}

func (g *gadget) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	request, err := jsonrpc.ParseRequest(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	g.runs[strings.TrimPrefix(request.ID.Key, "s:")]++
	g.mu.Unlock()
	if g.before != nil {
		g.before(r, request.Method)
	}
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"on":true}}`, request.ID.Raw)
}

func (g *gadget) ran(c envelope.Command) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.runs[c.ID.String()]
}

// total of executions.
func (g *gadget) total() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, runs := range g.runs {
		n += runs
	}
	return n
}

func request(id int, method string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q}`, id, method)
}
