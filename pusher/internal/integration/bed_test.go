package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/chassis/settings"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/pusher/internal/app"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/identity"
	"github.com/cupline/cupline/store/mailbox"
)

const tenant = "acme"

// bed is a broker and a database with a tenant.
type bed struct {
	broker   *brokertest.Broker
	database *postgrestest.Database
	pool     *postgres.Pool
	keys     *identity.Store
	mailbox  *mailbox.Store
}

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{broker: brokertest.New(t)}
	owner := postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	})
	b.pool, b.database = owner.Pool(t), owner.As(t, string(migrations.Pusher))
	b.keys, b.mailbox = identity.New(b.pool), mailbox.New(b.pool, mailbox.Limits{})
	if _, err := b.keys.PutTenant(t.Context(), tenant, "Acme"); err != nil {
		t.Fatal(err)
	}
	b.broker.Declare(t, topology.Replies())
	return b
}

// key makes a key of a client that may receive outcomes.
func (b *bed) key(t testing.TB, client string) string {
	t.Helper()
	token, _ := b.keyWith(t, client, "replies:read")
	return token
}

func (b *bed) keyWith(t testing.TB, client string, scopes ...string) (token, id string) {
	t.Helper()
	token, key, err := b.keys.CreateKey(t.Context(), identity.NewKey{Tenant: tenant, Client: client, Name: client, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return token, key.ID
}

// outcome of a command that was accepted a moment ago.
func outcome(client, id string) envelope.Outcome {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return envelope.Outcome{
		Tenant: tenant, Client: client, CommandID: uuid.Must(uuid.NewV7()), Device: "lamp", Method: "relay.set", Lane: "default",
		Origin: envelope.OriginDevice, Accepted: now, At: now, Body: fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%q,"result":{"on":true}}`, id),
	}
}

// publish publishes outcomes for a client, named by their ids, and returns their command ids.
func (b *bed) publish(t testing.TB, client string, ids ...string) []string {
	t.Helper()
	var commandIDs []string
	for _, id := range ids {
		o := outcome(client, id)
		b.broker.Publish(t, o.Message())
		commandIDs = append(commandIDs, o.CommandID.String())
	}
	return commandIDs
}

// waiting is how many outcomes lie in the client's mailbox.
func (b *bed) waiting(t testing.TB, client string) int64 {
	t.Helper()
	counts, err := b.mailbox.Counts(t.Context(), tenant, client)
	if err != nil {
		t.Fatal(err)
	}
	return counts.Waiting
}

func (b *bed) eventuallyWaiting(t testing.TB, client string, n int64) {
	t.Helper()
	brokertest.Eventually(t, fmt.Sprintf("%d outcomes wait for %s", n, client), func() bool { return b.waiting(t, client) == n })
}

// bound tells whether the client is bound to that slot.
func (b *bed) bound(t testing.TB, slot, client string) bool {
	t.Helper()
	return slices.Contains(b.broker.Bindings(t, topology.ClientsExchange), topology.Client(slot, tenant, client))
}

func (b *bed) eventuallyBound(t testing.TB, slot, client string, want bool) {
	t.Helper()
	brokertest.Eventually(t, fmt.Sprintf("%s bound to %s: %v", client, slot, want), func() bool { return b.bound(t, slot, client) == want })
}

// pusher is one that runs.
type pusher struct {
	*app.App
	slot    string
	cancel  context.CancelFunc
	stopped chan error
}

// settings of a pusher for tests: what is waited for in life takes a moment here.
func (b *bed) settings(t testing.TB, slot string) app.Settings {
	t.Helper()
	var s app.Settings
	err := settings.Load(&s, []string{
		"AMQP_URL=" + b.broker.URL(), "DATABASE_URL=" + b.database.URL(), "CUPLINE_SLOT=" + slot,
		"CUPLINE_LISTEN=127.0.0.1:0", "CUPLINE_INTERNAL_ADDR=127.0.0.1:0",
		"CUPLINE_DATABASE_CONNECTIONS=4", "CUPLINE_DRAIN=2s",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Tick = 10 * time.Millisecond
	// A machine that stands still for some seconds is neither a client that does not ack nor a database that is away.
	s.Unacked, s.AckTimeout, s.Lookup = time.Minute, 2*time.Minute, patience
	return s
}

// start runs a pusher and waits until it is ready.
func (b *bed) start(t testing.TB, slot string, tweaks ...func(*app.Settings)) *pusher {
	t.Helper()
	p := b.begin(t, slot, tweaks...)
	p.eventuallyReady(t)
	return p
}

// begin runs a pusher until the test ends.
func (b *bed) begin(t testing.TB, slot string, tweaks ...func(*app.Settings)) *pusher {
	t.Helper()
	s := b.settings(t, slot)
	for _, tweak := range tweaks {
		tweak(&s)
	}
	level, err := zap.ParseAtomicLevel(s.Log.Level)
	if err != nil {
		t.Fatal(err)
	}
	log := zaptest.NewLogger(t, zaptest.Level(level)).With(zap.String("pusher", slot))
	a, err := app.New(t.Context(), s, log, zap.NewAtomicLevel())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &pusher{App: a, slot: slot, cancel: cancel, stopped: make(chan error, 1)}
	go func() { p.stopped <- a.Run(ctx) }()
	t.Cleanup(func() { p.stop(t) })
	brokertest.Eventually(t, "the pusher listens", func() bool { return a.Addr() != "" && a.InternalAddr() != "" })
	return p
}

// stop ends it in order. Stopping twice is fine.
func (p *pusher) stop(t testing.TB) {
	t.Helper()
	p.cancel()
	select {
	case err := <-p.stopped:
		p.stopped <- nil
		if err != nil {
			t.Errorf("pusher %s ended with: %v", p.slot, err)
		}
	case <-time.After(40 * time.Second):
		t.Errorf("pusher %s does not end", p.slot)
	}
}

// abandon stops it without caring how well that goes: its links are broken.
func (p *pusher) abandon(t testing.TB) {
	p.cancel()
	if err := <-p.stopped; err != nil {
		t.Logf("pusher %s, abandoned, ended with: %v", p.slot, err)
	}
	p.stopped <- nil
}

func (p *pusher) get(t testing.TB, path string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.InternalAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var content bytes.Buffer
	if _, err := content.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, content.String()
}

func (p *pusher) ready(t testing.TB) (ok bool, missing map[string]string) {
	t.Helper()
	status, body := p.get(t, "/readyz")
	var state struct{ Missing map[string]string }
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatal(err)
	}
	return status == http.StatusOK, state.Missing
}

func (p *pusher) eventuallyReady(t testing.TB) {
	t.Helper()
	brokertest.Eventually(t, "pusher "+p.slot+" is ready", func() bool {
		ok, _ := p.ready(t)
		return ok
	})
}

// metric is the value of the line of /metrics that begins with name, labels included; 0
// when there is none.
func (p *pusher) metric(t testing.TB, name string) float64 {
	t.Helper()
	_, body := p.get(t, "/metrics")
	for line := range strings.SplitSeq(body, "\n") {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			var v float64
			if _, err := fmt.Sscan(rest, &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

// throughProxy leads the pusher's broker links through a proxy.
func (b *bed) throughProxy(p *linktest.Proxy) func(*app.Settings) {
	return func(s *app.Settings) { s.AMQPURL = settings.Secret(b.broker.ProxyURL(p)) }
}
