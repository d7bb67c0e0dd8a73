package app

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/api/internal/contracttest"
	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/registry"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // every test here needs a broker and a database
	}
	goleak.VerifyTestMain(m)
}

// world is one api process on a broker and a database of its own, filled with a tenant acme
// that has a device lamp-1, and a tenant other that has one of the same name.
type world struct {
	t        testing.TB
	app      *App
	broker   *brokertest.Broker
	database *postgrestest.Database // as the process logs in
	pool     *postgres.Pool         // the owner's
	registry *registry.Store
	keys     *identity.Store
	base     *http.Transport
	client   *http.Client
	key      string // of acme's client shop, with every right but the platform's
	stop     func() error
}

// newWorld starts one and waits until it is ready; change may set what settings differ.
func newWorld(t testing.TB, change func(w *world, s *Settings)) *world {
	t.Helper()
	w := prepare(t)
	w.start(func(s *Settings) {
		if change != nil {
			change(w, s)
		}
	})
	w.waitReady()
	return w
}

// prepare makes a world without its process.
func prepare(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, broker: brokertest.New(t)}
	owner := postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	})
	w.pool, w.database = owner.Pool(t), owner.As(t, string(migrations.API))
	w.registry, w.keys = registry.New(w.pool), identity.New(w.pool)
	w.fill()
	return w
}

func (w *world) start(change func(*Settings)) {
	w.t.Helper()
	s := Settings{
		AMQPURL: settings.Secret(w.broker.URL()), DatabaseURL: settings.Secret(w.database.URL()),
		Listen: "127.0.0.1:0", InternalAddr: "127.0.0.1:0", PublishTimeout: 20 * time.Second, PublishWindow: 1024, LongPolls: 100,
		DatabaseConnections: 4, LoopGuard: 3, Drain: 30 * time.Second, Look: 20 * time.Second,
	}
	change(&s)
	if s.Limits.Connections == 0 {
		s.Limits.Connections, s.Limits.DeviceLogins = 1000, 10
	}
	log := zaptest.NewLogger(w.t, zaptest.Level(zap.WarnLevel))
	var err error
	w.app, err = New(context.Background(), s, log, zap.NewAtomicLevel())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.app.Run(ctx) }()
	var result error
	stopped := false
	w.stop = func() error {
		if !stopped {
			cancel()
			result, stopped = <-ended, true
		}
		return result
	}
	w.base = &http.Transport{}
	w.client = &http.Client{Transport: contracttest.Load(w.t).Transport(w.t, w.base), Timeout: 40 * time.Second}
	w.t.Cleanup(func() {
		w.base.CloseIdleConnections()
		if err := w.stop(); err != nil {
			w.t.Errorf("the process ended with %v", err)
		}
	})
}

func (w *world) waitReady() {
	w.t.Helper()
	var missing string
	defer func() {
		if missing != "" {
			w.t.Logf("/readyz said last: %s", missing)
		}
	}()
	brokertest.Eventually(w.t, "the process is ready", func() bool {
		missing = w.missing()
		return missing == ""
	})
}

// missing is what /readyz says is missing; empty when nothing is.
func (w *world) missing() string {
	if w.app.InternalAddr() == "" || w.app.Addr() == "" {
		return "ports"
	}
	answer, err := w.base.RoundTrip(must(http.NewRequest("GET", "http://"+w.app.InternalAddr()+"/readyz", nil)))
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return string(body)
	}
	return ""
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// lamp is the type of lamp-1.
func lamp(tenant, lane string) device.Type {
	return device.Type{Tenant: tenant, Name: "lamp", Lane: lane, Driver: "mqtt", Methods: map[string]device.Method{
		"relay.set": {
			Timeout: device.Duration(5 * time.Second), TTL: device.Duration(30 * time.Second),
			Params: json.RawMessage(`{"type":"object","required":["on"],"properties":{"on":{"type":"boolean"}}}`),
		},
		"host.info": {Idempotent: true},
	}}
}

func (w *world) fill() {
	ctx := context.Background()
	for _, tenant := range []string{"acme", "other"} {
		must(w.keys.PutTenant(ctx, tenant, tenant))
		w.putType(lamp(tenant, "default"))
		w.putDevice(device.Device{Tenant: tenant, ID: "lamp-1", Type: "lamp"})
	}
	w.putDevice(device.Device{Tenant: "other", ID: "theirs", Type: "lamp"})
	w.key = w.newKey("acme", "shop", auth.CommandsSend, auth.RepliesRead, auth.DevicesRead, auth.DevicesWrite, auth.OpsRead, auth.OpsWrite, auth.TenantsAdmin)
}

func (w *world) putType(t device.Type) {
	w.t.Helper()
	_, err := w.registry.PutType(context.Background(), t)
	w.check(err)
}

func (w *world) putDevice(d device.Device) {
	w.t.Helper()
	_, err := w.registry.PutDevice(context.Background(), d)
	w.check(err)
}

func (w *world) putLane(l topology.Lane) {
	w.t.Helper()
	_, err := w.registry.PutLane(context.Background(), l)
	w.check(err)
}

// laneOf makes a lane of its own with a device on it, and waits until its queue is there.
func (w *world) laneOf(name string, change func(*topology.Lane)) (deviceID string) {
	w.t.Helper()
	lane := topology.Lane{Name: name, MaxTTL: time.Hour, MaxLength: 1000}
	if change != nil {
		change(&lane)
	}
	w.putLane(lane)
	kind := lamp("acme", name)
	kind.Name = name
	if lane.LedgerOff {
		delete(kind.Methods, "relay.set")
	}
	w.putType(kind)
	w.putDevice(device.Device{Tenant: "acme", ID: name, Type: name})
	w.eventuallyBound(name)
	return name
}

func (w *world) eventuallyBound(lane string) {
	w.t.Helper()
	brokertest.Eventually(w.t, "the lane's queue is bound", func() bool {
		return slices.ContainsFunc(w.broker.Bindings(w.t, topology.CommandsExchange), func(b topology.Binding) bool {
			return b.Destination == topology.WorkQueue(lane)
		})
	})
}

func (w *world) newKey(tenant, client string, scopes ...auth.Scope) string {
	w.t.Helper()
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	token, _, err := w.keys.CreateKey(context.Background(), identity.NewKey{Tenant: tenant, Client: client, Scopes: words})
	w.check(err)
	return token
}

// answer is what came back, its body read.
type answer struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// into decodes the body.
func (w *world) into(a answer, v any) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		w.t.Fatalf("%v: %v", a, err)
	}
}

// do sends a request with shop's key; header holds names and values in turn. It may be called from any goroutine.
func (w *world) do(method, path, body string, header ...string) answer {
	w.t.Helper()
	r := must(http.NewRequest(method, "http://"+w.app.Addr()+path, strings.NewReader(body)))
	r.Header.Set("Authorization", "Bearer "+w.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	began := time.Now()
	got, err := w.client.Do(r)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
		return answer{}
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
	}
	return answer{got.StatusCode, got.Header, string(text), time.Since(began)}
}

func (w *world) post(deviceID, body string, header ...string) answer {
	w.t.Helper()
	return w.do("POST", "/v1/devices/"+deviceID+"/commands", body, header...)
}

// expect fails the test unless the answer has that status and, if told, that code.
func (w *world) expect(a answer, status int, code string) {
	w.t.Helper()
	if a.status != status || code != "" && !strings.Contains(a.body, `"code":"`+code+`"`) {
		w.t.Errorf("got %v, want %d %s", a, status, code)
	}
}

// metric is the value of a metric without labels, as /metrics tells it.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	got, err := w.base.RoundTrip(must(http.NewRequest("GET", "http://"+w.app.InternalAddr()+"/metrics", nil)))
	w.check(err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	w.check(err)
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(line, name+" "); is {
			return must(strconv.ParseFloat(strings.TrimSpace(value), 64))
		}
	}
	w.t.Fatalf("no metric %s", name)
	return 0
}

// deleteQueue takes a lane's queue away, as an operator might, and again once it is back: what is missing is declared every
// broker.KeepEvery, and nobody does so for that long then. It first sees the queue
// dead-letter something: RabbitMQ 3.10 starts a worker for that beside each queue, and a queue
// deleted while its worker starts takes down all of them, on the whole node.
func (w *world) deleteQueue(lane string) {
	w.t.Helper()
	for range 2 {
		w.eventuallyBound(lane)
		w.expect(w.post(lane, `{"jsonrpc":"2.0","method":"host.info"}`, "Cupline-TTL", "1ms"), 202, "")
		w.broker.Get(w.t, topology.DeadQueue)
		w.broker.Do(w.t, "delete a queue", func(ctx context.Context, s *broker.Session) error {
			return s.DeleteQueue(ctx, topology.WorkQueue(lane), false, false)
		})
	}
}
