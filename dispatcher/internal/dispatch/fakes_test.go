package dispatch

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
)

// book is a ledger in memory that keeps the contract of Ledger.
type book struct {
	mu     sync.Mutex
	rows   map[string]*Row
	late   int
	claims int
	// fail is asked before each call; what it returns is the call's error, after the call
	// has taken effect when lost is set.
	fail func(call string) (err error, lost bool)
}

func newBook() *book { return &book{rows: map[string]*Row{}} }

func rowKey(c *Command) string {
	if c.OneWay() {
		return "o:" + c.ID.String()
	}
	return c.Tenant + "." + c.Client + "/" + c.Request.ID.Key
}

func (b *book) do(call string, f func() Row) (Row, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		if err, lost := b.fail(call); err != nil {
			if lost {
				f()
			}
			return Row{}, err
		}
	}
	return f(), nil
}

func (b *book) Claim(_ context.Context, c *Command, token uuid.UUID) (Row, error) {
	return b.do("claim", func() Row {
		if row := b.rows[rowKey(c)]; row != nil {
			return *row
		}
		b.claims++
		row := &Row{CommandID: c.ID, Digest: c.Digest, Token: token, Started: time.Now(), Timeout: c.Timeout}
		b.rows[rowKey(c)] = row
		return *row
	})
}

func (b *book) Reclaim(_ context.Context, c *Command, old, token uuid.UUID) (Row, error) {
	return b.do("reclaim", func() Row {
		row := b.rows[rowKey(c)]
		if row.Decided == nil && row.Token == old {
			row.Token, row.Started = token, time.Now()
		}
		return *row
	})
}

func (b *book) Decide(_ context.Context, c *Command, _ uuid.UUID, body []byte) (Row, error) {
	return b.do("decide", func() Row {
		row := b.rows[rowKey(c)]
		switch {
		case row.Decided == nil:
			row.Decided = &Decided{At: time.Now(), Origin: envelope.OriginDevice, Body: body}
		case !bytes.Equal(row.Decided.Body, body):
			b.late++
		}
		return *row
	})
}

// scripted is a driver and the registry of its devices.
type scripted struct {
	mu       sync.Mutex
	executed []string
	execute  func(ctx context.Context, c *Call) (jsonrpc.Response, error)
	check    error
	missing  bool
}

func (s *scripted) Check(Target) error { return s.check }

func (s *scripted) Execute(ctx context.Context, c *Call) (jsonrpc.Response, error) {
	s.mu.Lock()
	s.executed = append(s.executed, c.ID)
	execute := s.execute
	s.mu.Unlock()
	if execute == nil {
		return c.Answer([]byte(`{"jsonrpc":"2.0","id":"` + c.ID + `","result":{"on":true}}`))
	}
	return execute(ctx, c)
}

func (s *scripted) Find(_ context.Context, tenant, device string) (Target, error) {
	if s.missing {
		return Target{}, ErrNoDevice
	}
	return Target{Tenant: tenant, Device: device}, nil
}

func (s *scripted) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.executed)
}

// wall is the database's clock, off by a shift that a test can change.
type wall struct {
	mu    sync.Mutex
	shift time.Duration
}

func (w *wall) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.shift)
}

func (w *wall) leap(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shift += d
}

// open is a gate that is open until its error is set.
type open struct{ err error }

func (o *open) WaitReady(context.Context) error { return o.err }

// rig is an engine between fakes.
type rig struct {
	engine *Engine
	book   *book
	device *scripted
	clock  *wall
	gate   *open
}

func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{book: newBook(), device: &scripted{}, clock: &wall{}, gate: &open{}}
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Drivers: map[string]Driver{"test": r.device}, Ledger: r.book, Devices: r.device, Clock: r.clock, Gate: r.gate,
		Concurrency: 4, DeviceLimit: 4, TenantLimit: 4, MaxAnswer: 1 << 10, Log: zap.NewNop(), Metrics: metrics,
	}
	for _, f := range change {
		f(&cfg)
	}
	r.engine = New(cfg)
	return r
}

func (r *rig) run(t testing.TB, c *Command) Verdict {
	t.Helper()
	v, err := r.engine.Run(t.Context(), t.Context(), c)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return v
}

// command is one with its own command id; body defaults to one with id "c-1".
func command(t testing.TB, body string, change ...func(*envelope.Command)) *Command {
	t.Helper()
	if body == "" {
		body = `{"jsonrpc":"2.0","id":"c-1","method":"relay.set","params":{"on":true}}`
	}
	now := time.Now()
	c := envelope.Command{
		Lane: "default", Tenant: "acme", Device: "lamp-1", Client: "app", ID: uuid.Must(uuid.NewV7()),
		DeviceType: "lamp", Driver: "test", Timeout: 5 * time.Second,
		Accepted: now, Deadline: now.Add(time.Minute), Body: []byte(body),
	}
	for _, f := range change {
		f(&c)
	}
	m := c.Message(now)
	read, err := Read(&m)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

var errAway = errors.New("the database is away")
