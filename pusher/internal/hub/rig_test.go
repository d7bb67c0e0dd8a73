package hub

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/pusher/internal/session"
	"github.com/cupline/cupline/pusher/internal/wheel"
	"github.com/cupline/cupline/schema/push"
)

// waitLimit bounds every wait of a test.
const waitLimit = time.Minute

// table is a broker's table of bindings. While held, calls wait.
type table struct {
	mu    sync.Mutex
	bound map[Key]bool
	binds [][]Key // each round
	fail  error
	gate  chan struct{} // nil, or closed to let calls go on
	calls chan string   // tells of each call that has begun
}

func newTable() *table { return &table{bound: map[Key]bool{}, calls: make(chan string, 10_000)} }

// hold makes calls wait until the returned function is called.
func (b *table) hold() (release func()) {
	gate := make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gate = gate
	return func() {
		b.mu.Lock()
		b.gate = nil
		b.mu.Unlock()
		close(gate)
	}
}

func (b *table) call(ctx context.Context, name string, clients []Key, apply func(Key)) error {
	b.mu.Lock()
	gate := b.gate
	b.mu.Unlock()
	b.calls <- name
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	for _, c := range clients {
		apply(c)
	}
	return nil
}

func (b *table) Bind(ctx context.Context, clients []Key) error {
	return b.call(ctx, "bind", clients, func(c Key) {
		if !b.bound[c] || len(b.binds) == 0 {
			b.binds = append(b.binds, clients)
		}
		b.bound[c] = true
	})
}

func (b *table) Unbind(ctx context.Context, clients []Key) error {
	return b.call(ctx, "unbind", clients, func(c Key) { delete(b.bound, c) })
}

func (b *table) has(client string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bound[Key{"t", client}]
}

func (b *table) setFail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

// rig is a hub with everything around it. Its mailboxes are empty, and its sessions' tokens
// are their clients' names.
type rig struct {
	*Hub
	t     testing.TB
	table *table
	cfg   session.Config

	waiting int64 // in each mailbox
	failing bool  // mailboxes cannot be read

	mu       sync.Mutex
	reads    []*Place
	released []string
}

func newRig(t testing.TB, tweak func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, table: newTable()}
	w := wheel.New(time.Millisecond)
	cfg := Config{
		MaxSessions: 4, Keep: time.Minute, Reread: time.Hour, RereadAfter: 10 * time.Millisecond, Patience: time.Minute,
		DrainLimit: time.Second, DrainGrace: 10 * time.Millisecond,
		Table: r.table, Notices: r, Reader: r, Observer: r, Wheel: w, Now: time.Now, Log: zap.NewNop(),
	}
	if tweak != nil {
		tweak(&cfg)
	}
	r.Hub = New(cfg)
	r.cfg = session.Config{
		Limits: session.Limits{
			Window: 8, WindowBytes: 1 << 20, Hello: time.Minute, Join: waitLimit, Lookup: time.Second, Ping: time.Minute,
			Pong: time.Minute, Unacked: time.Minute, AckTimeout: time.Hour, Dwell: time.Millisecond, Reconnect: time.Minute,
		},
		Verifier: r, Hub: r.Hub, Mailbox: r, Receipts: r, Observer: sessionObserver{}, Wheel: w,
		Now: time.Now, Database: time.Now, Log: zap.NewNop(),
	}
	if err := errors.Join(w.Start(t.Context()), r.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Stop(context.Background()), w.Stop(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return r
}

// up connects the hub to its table.
func (r *rig) up() *rig {
	r.t.Helper()
	if err := r.Up(r.t.Context(), r.table); err != nil {
		r.t.Fatal(err)
	}
	return r
}

func (r *rig) Read(p *Place) {
	r.mu.Lock()
	r.reads = append(r.reads, p)
	r.mu.Unlock()
	switch ask, ok := p.NextRead(); {
	case ok && r.failing:
		p.ReadFailed()
	case ok:
		p.Filled(ask, nil, 0, 0)
	}
}
func (r *rig) Release(_ Key, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released = append(r.released, id)
}
func (r *rig) Recheck(context.Context, session.Principal) error { return nil }

func (r *rig) Verify(_ context.Context, token, _ string) (session.Principal, error) {
	return session.Principal{Tenant: "t", Client: token, KeyID: "key of " + token}, nil
}
func (r *rig) Counts(context.Context, string, string) (int64, int64, error) { return r.waiting, 0, nil }
func (r *rig) Acked(*session.Item)                                          {}
func (r *rig) Sessions(int)                                                 {}
func (r *rig) Bound(int, time.Duration)                                     {}
func (r *rig) Unbound(int)                                                  {}
func (r *rig) BindWaited(time.Duration)                                     {}

type sessionObserver struct{}

func (sessionObserver) Pushed(string)               {}
func (sessionObserver) Acked(*session.Item, string) {}
func (sessionObserver) LagEntered(session.Cause)    {}
func (sessionObserver) Ended(push.CloseCode)        {}

// line is a client's end of a connection.
type line struct {
	*session.Session
	frames chan string
	code   chan push.CloseCode
}

func (l *line) Send(frame []byte)         { l.frames <- string(frame) }
func (l *line) Close(code push.CloseCode) { l.code <- code }

// open begins a session and does not wait for its welcome; done is closed when hello was handled.
func (r *rig) open(client string, old string) (l *line, done chan struct{}) {
	l = &line{frames: make(chan string, 10_000), code: make(chan push.CloseCode, 1)}
	l.Session = session.New(&r.cfg, l, session.Caller{Token: client})
	done = make(chan struct{})
	go func() {
		defer close(done)
		l.Receive(context.Background(), push.ClientFrame{Type: push.TypeHello, Session: old})
	}()
	return l, done
}

// connect opens a session and takes its welcome.
func (r *rig) connect(client string, old string) *line {
	r.t.Helper()
	l, done := r.open(client, old)
	<-done
	l.expect(r.t, `"type":"welcome"`)
	return l
}

func (l *line) expect(t testing.TB, part string) {
	t.Helper()
	select {
	case f := <-l.frames:
		if !strings.Contains(f, part) {
			t.Fatalf("got %s, want %s", f, part)
		}
	case code := <-l.code:
		t.Fatalf("closed with %d, want %s", code, part)
	case <-time.After(waitLimit):
		t.Fatalf("nothing came, want %s", part)
	}
}

func (l *line) closes(t testing.TB, code push.CloseCode) {
	t.Helper()
	select {
	case got := <-l.code:
		if got != code {
			t.Fatalf("closed with %d, want %d", got, code)
		}
	case <-time.After(waitLimit):
		t.Fatalf("not closed, want %d", code)
	}
}

// parcel is a delivery that tells its verdict.
type parcel struct{ verdict chan string }

func (p *parcel) Settle(_ *session.Item, v session.Verdict) {
	if v.Kind == session.Refused {
		p.verdict <- string(v.Cause)
	}
}
func (p *parcel) Lost() bool { return false }

// deliver hands the hub an outcome and returns its delivery.
func (r *rig) deliver(client string, n byte) *parcel {
	p := &parcel{verdict: make(chan string, 2)}
	it := session.NewLive(p)
	it.ID[0], it.Tenant, it.Client = n, "t", client
	it.Outcome = push.Outcome{CommandID: "x", Response: []byte("{}")}
	r.Deliver(it)
	return p
}

func (p *parcel) is(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-p.verdict:
		if got != want {
			t.Fatalf("verdict %s, want %s", got, want)
		}
	case <-time.After(waitLimit):
		t.Fatalf("no verdict, want %s", want)
	}
}

// eventually waits for what no signal tells of.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(waitLimit); !ok(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// mark is a deadline on the hub's wheel.
type mark struct {
	wheel.Timer
	come chan struct{}
}

func (m *mark) Fire(time.Time) time.Time {
	close(m.come)
	return time.Time{}
}

// passes waits until the hub's wheel has seen so much time go by, and fired what was due.
func (r *rig) passes(d time.Duration) {
	m := &mark{come: make(chan struct{})}
	r.Hub.cfg.Wheel.Set(&m.Timer, m, time.Now().Add(d))
	<-m.come
}
