package ops_test

import (
	"context"
	"errors"
	"flag"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/cupline/cupline/api/internal/intake"
	"github.com/cupline/cupline/api/internal/ops"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/ledger"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // all of it needs a database
	}
	goleak.VerifyTestMain(m)
}

// wire is the link to the broker as a crash or a fault leaves it: what reached a queue, and what was said of it.
type wire struct {
	mu sync.Mutex // guards the rest
	// arrived are the command ids that a queue has, by the letter's command.
	arrived map[uuid.UUID]map[uuid.UUID]bool
	next    fault
	// after is how many publishes are fine before the next fault.
	after int
}

// meet is what happens around the next publish, or one a little later.
func (w *wire) meet(f fault, after int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next, w.after = f, after
}

// fault is what happens around one publish.
type fault int

const (
	fine fault = iota
	refused
	lostBefore   // in doubt, and never arrived
	lostAfter    // in doubt, and arrived
	crashBefore  // the process dies before it sends
	crashAfter   // the process dies after the queue has it
	numberFaults // how many there are
)

// errCrash is what a dead process would have gone on with; nothing is done after it.
type errCrash struct{}

func (w *wire) Publish(_ context.Context, m message.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := fine
	if w.after--; w.after < 0 {
		f, w.next = w.next, fine
	}
	if f == fine || f == lostAfter || f == crashAfter {
		c, err := envelope.ParseCommand(&m)
		if err != nil {
			return err
		}
		if w.arrived[c.RedriveOf] == nil {
			w.arrived[c.RedriveOf] = map[uuid.UUID]bool{}
		}
		w.arrived[c.RedriveOf][c.ID] = true
	}
	switch f {
	case refused:
		return &intake.PublishError{Fate: intake.QueueFull, Cause: errors.New("full")}
	case lostBefore, lostAfter:
		return &intake.PublishError{Fate: intake.InDoubt, Cause: errors.New("lost")}
	case crashBefore, crashAfter:
		panic(errCrash{})
	}
	return nil
}

// of are the commands that a letter's command arrived as.
func (w *wire) of(command uuid.UUID) map[uuid.UUID]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.arrived[command])
}

// one device that is always there.
type registry struct{}

func (registry) Resolve(_ context.Context, tenant, name string) (intake.Target, error) {
	return intake.Target{
		Device: device.Device{Tenant: tenant, ID: name, Type: "lamp"},
		Type:   &device.Type{Tenant: tenant, Name: "lamp", Lane: "default", Driver: "mqtt"}, Lane: topology.DefaultLane(),
	}, nil
}

// policies allow everything.
type policies struct{}

func (policies) Check(context.Context, intake.Target, *jsonrpc.Request) error { return nil }

type clock struct{}

func (clock) Now() time.Time { return time.Now() }

// alive runs one step of a process, and reports whether the process lived through it.
func alive(step func()) (lived bool) {
	defer func() {
		if thrown := recover(); thrown != nil {
			if _, crash := thrown.(errCrash); !crash {
				panic(thrown)
			}
		}
	}()
	step()
	return true
}

// No sequence of redrive, discard, crash and restart loses a letter, or sends one under two command ids.
func TestNothingIsLostOrSentTwice(t *testing.T) {
	t.Parallel()
	pool := postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	}).Pool(t)
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, rt, pool)
		rt.Repeat(map[string]func(*rapid.T){
			"redrive": func(rt *rapid.T) { b.act(rt, true) },
			"discard": func(rt *rapid.T) { b.act(rt, false) },
			"undo":    b.undo,
			"restart": func(rt *rapid.T) { b.restart(rt) },
			"":        b.check,
		})
		b.wire.meet(fine, 0)
		b.restart(rt)
		for _, l := range b.read(rt) {
			if l.State == deadletter.Redriving {
				rt.Errorf("letter %s was left redriving", l.LetterID)
			}
		}
		b.check(rt)
	})
}

// bench is one tenant with three letters.
type bench struct {
	pool    *postgres.Pool
	letters *deadletter.Store
	desk    *ops.Desk
	wire    *wire
	tenant  string
	ids     []uuid.UUID
}

func (b *bench) undo(rt *rapid.T) {
	id := rapid.SampledFrom(b.ids).Draw(rt, "letter")
	_, _ = b.desk.Undo(context.Background(), b.tenant, id, deadletter.Act{Actor: "ann", Reason: "r"}) // the check judges
}

func newBench(t *testing.T, _ *rapid.T, pool *postgres.Pool) *bench { return fillBench(t, pool, 3) }

func fillBench(t *testing.T, pool *postgres.Pool, letters int) *bench {
	t.Helper()
	b := &bench{pool: pool, letters: deadletter.New(pool), wire: &wire{arrived: map[uuid.UUID]map[uuid.UUID]bool{}}, tenant: "t" + uuid.NewString()[:13]}
	b.desk = ops.New(ops.Config{
		Letters: b.letters, Registry: registry{}, Policies: policies{}, Publisher: b.wire, Clock: clock{},
		Ready: func() error { return nil }, Guard: 3, Redriven: func(string, string) {}, Log: zap.NewNop(),
	})
	for range letters {
		settled, err := b.letters.Settle(t.Context(), ledger.Key{}, func(*ledger.Row) deadletter.Resolution {
			return deadletter.Resolution{Letter: &deadletter.Letter{
				Tenant: b.tenant, CommandID: uuid.New(), Client: "web", Device: "lamp-1", Method: "m", Reason: "expired", Executed: "no",
				Payload: []byte(`{"jsonrpc":"2.0","id":"c-1","method":"m"}`),
			}}
		})
		if err != nil {
			t.Fatal(err)
		}
		b.ids = append(b.ids, settled.LetterID)
	}
	return b
}

func (b *bench) act(rt *rapid.T, redrive bool) {
	id := rapid.SampledFrom(b.ids).Draw(rt, "letter")
	b.wire.meet(fault(rapid.IntRange(0, int(numberFaults)-1).Draw(rt, "fault")), 0)
	act := deadletter.Act{Actor: "ann", Reason: "r"}
	alive(func() {
		if redrive {
			_, _ = b.desk.Redrive(context.Background(), b.tenant, id, act, ops.Wish{}) // the check below judges
		} else {
			_, _ = b.desk.Discard(context.Background(), b.tenant, id, act)
		}
	})
	b.wire.meet(fine, 0)
}

// restart: the leases of whoever died run out, and another takes up, perhaps dying in turn.
func (b *bench) restart(rt *rapid.T) {
	b.wire.meet(fault(rapid.IntRange(0, int(numberFaults)-1).Draw(rt, "fault")), 0)
	for range 2 { // the second one meets no fault
		alive(func() {
			_, err := b.pool.Exec(context.Background(),
				"update dead_letters set leased_until = now() - interval '1s' where tenant = $1 and state = 'redriving'", b.tenant)
			if err = errors.Join(err, b.desk.Resume(context.Background())); err != nil {
				rt.Fatal(err)
			}
		})
		b.wire.meet(fine, 0)
	}
}

func (b *bench) read(rt *rapid.T) []deadletter.Letter {
	page, err := b.letters.Find(context.Background(), deadletter.Filter{Tenant: b.tenant}, deadletter.Oldest, nil, 100)
	if err != nil {
		rt.Fatal(err)
	}
	return page.Letters
}

func (b *bench) check(rt *rapid.T) {
	found := b.read(rt)
	if len(found) != len(b.ids) {
		rt.Fatalf("%d letters of %d", len(found), len(b.ids))
	}
	numbers := map[int]bool{}
	for _, l := range found {
		arrived := b.wire.of(l.CommandID)
		switch {
		case len(arrived) > 1:
			rt.Fatalf("letter %s was sent as %v", l.LetterID, arrived)
		case l.State == deadletter.Redriven && !arrived[l.RedrivenAs]:
			rt.Fatalf("letter %s is redriven, and no queue has it", l.LetterID)
		case (l.State == deadletter.Open || l.State == deadletter.Discarded) && len(arrived) > 0:
			rt.Fatalf("letter %s is %s, and a queue has it", l.LetterID, l.State)
		}
		if l.RedriveNumber > 0 && numbers[l.RedriveNumber] {
			rt.Fatalf("redrive %d twice", l.RedriveNumber)
		}
		numbers[l.RedriveNumber] = true
	}
}
