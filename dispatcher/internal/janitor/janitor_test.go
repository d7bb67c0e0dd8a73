package janitor_test

import (
	"context"
	"flag"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/dispatcher/internal/janitor"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
	"github.com/cupline/cupline/store/erasure"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/mailbox"
	"github.com/cupline/cupline/store/retention"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(0) // everything here needs Postgres
	}
	goleak.VerifyTestMain(m)
}

const day = 24 * time.Hour

// house is a database with tenants acme and other, and janitors of it.
type house struct {
	t        *testing.T
	database *postgrestest.Database
	pool     *postgres.Pool // the owner's
}

func open(t *testing.T) *house {
	h := &house{t: t, database: postgrestest.New(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	})}
	h.pool = h.database.Pool(t)
	h.do(`insert into tenants (tenant) values ('acme'), ('other')`)
	return h
}

func (h *house) do(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.pool.Exec(h.t.Context(), sql, args...); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
}

func (h *house) count(sql string, args ...any) (n int64) {
	h.t.Helper()
	if err := h.pool.QueryRow(h.t.Context(), sql, args...).Scan(&n); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// janitor logs in as the janitor's role. Batches are small, so that there are several.
func (h *house) janitor(lanes ...topology.Lane) *janitor.Janitor {
	h.t.Helper()
	pool, err := postgres.Open(h.t.Context(), postgres.Config{URL: h.database.As(h.t, string(migrations.Janitor)).URL(), MaxConns: 2})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(pool.Close)
	metrics, err := janitor.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		h.t.Fatal(err)
	}
	return janitor.New(janitor.Config{
		Pool: pool, Lanes: func(context.Context) ([]topology.Lane, error) { return lanes, nil }, Now: time.Now,
		Every: 50 * time.Millisecond, Tick: 5 * time.Millisecond, Acked: time.Hour, Batch: 3, Metrics: metrics, Log: zaptest.NewLogger(h.t),
	})
}

// run starts a janitor, and stops it when it is told to, or the test ends.
func (h *house) run(j *janitor.Janitor) (stop func()) {
	h.t.Helper()
	if err := j.Start(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := j.Stop(context.Background()); err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(stop)
	return stop
}

// letter is one that died, and was changed to its state, that long ago.
func (h *house) letter(tenant, client, state string, age time.Duration) uuid.UUID {
	h.t.Helper()
	l := deadletter.Letter{
		Tenant: tenant, CommandID: uuid.New(), Client: client, Device: "lamp-1", DeviceType: "lamp", Method: "relay.set", Lane: "default",
		ID: []byte(`"c-1"`), Reason: "expired", Executed: "no", Detail: "a secret", Payload: []byte(`{"secret":1}`), DiedAt: time.Now().Add(-age),
	}
	settled, err := deadletter.New(h.pool).Settle(h.t.Context(), ledger.Key{}, func(*ledger.Row) deadletter.Resolution {
		return deadletter.Resolution{Letter: &l}
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.do(`update dead_letters set state = $2, changed_at = died_at, outcome = 'secret' where letter_id = $1`, [16]byte(settled.LetterID), state)
	return settled.LetterID
}

// command is a row of the ledger made, and decided or not, that long ago.
func (h *house) command(tenant, client string, decided bool, age time.Duration) {
	h.t.Helper()
	h.do(`insert into ledger (tenant, client, id, redrive, command_id, token, digest, device, device_type, method, lane, timeout_ms, idempotent,
		one_way, accepted_at, deadline_at, created_at, started_at, outcome, decided_at) values ($1, $2, $3, 0, gen_random_uuid(), gen_random_uuid(), '',
		'lamp-1', 'lamp', 'm', 'default', 1, false, false, $4, $4, $4, $4, case when $5 then '{}'::bytea end, case when $5 then $4::timestamptz end)`,
		tenant, client, uuid.NewString(), time.Now().Add(-age), decided)
}

// outcome waits in a mailbox for that long, or was acked that long ago.
func (h *house) outcome(tenant, client string, acked bool, age time.Duration) {
	h.t.Helper()
	it := mailbox.Item{Tenant: tenant, Client: client, CommandID: uuid.New(), Device: "lamp-1", Method: "m", Lane: "default", Origin: "device", Response: []byte("secret")}
	s := mailbox.New(h.pool, mailbox.Limits{})
	if _, err := s.Put(h.t.Context(), []mailbox.Item{it}); err != nil {
		h.t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if acked {
		if err := s.Ack(h.t.Context(), []mailbox.AckMark{{Tenant: tenant, Client: client, CommandID: it.CommandID}}); err != nil {
			h.t.Fatal(err)
		}
		h.do(`update mailbox set acked_at = $2 where command_id = $1`, [16]byte(it.CommandID), at)
	}
	h.do(`update mailbox set stored_at = $2 where command_id = $1`, [16]byte(it.CommandID), at)
}

// What has ended goes when its tenant's term is over; what has not, never.
func TestRetention(t *testing.T) {
	t.Parallel()
	h := open(t)
	if err := retention.New(h.pool).Put(t.Context(), "other", retention.Terms{Letters: 100 * day, Audit: 100 * day, Ledger: 3 * day, Mailbox: 30 * day}, "ann", "law"); err != nil {
		t.Fatal(err)
	}
	trail := audit.New(h.pool)
	for _, tenant := range []string{"acme", "other"} {
		for range 4 {
			for _, state := range []string{deadletter.Redriven, deadletter.Discarded, deadletter.Open, deadletter.Redriving} {
				h.letter(tenant, "web", state, 31*day)
			}
			h.letter(tenant, "web", deadletter.Discarded, 29*day)
			h.command(tenant, "web", true, 49*time.Hour)
			h.command(tenant, "web", true, 23*time.Hour)
			h.command(tenant, "web", false, 400*day)
			h.outcome(tenant, "web", false, 8*day)
			h.outcome(tenant, "web", false, 6*day)
			h.outcome(tenant, "web", true, 2*time.Hour)
			h.outcome(tenant, "web", true, time.Minute)
			for _, age := range []time.Duration{91 * day, 89 * day} {
				if err := trail.Append(t.Context(), audit.Entry{Tenant: tenant, At: time.Now().Add(-age), Stage: audit.StageIntake, Action: "x"}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	h.do(`insert into desk_jobs (tenant, job_id, kind, state, filter, include_maybe, rate, total, actor, reason, finished_at)
		values ('acme', gen_random_uuid(), 'discard', 'done', '{}', false, 1, 5, '', '', now() - interval '31 days')`)
	h.do(`insert into desk_job_items (tenant, job_id, position, letter_id) select 'acme', job_id, n, gen_random_uuid() from desk_jobs, generate_series(1, 5) n`)
	if err := h.janitor(topology.Lane{MaxTTL: time.Hour}).Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]int64{
		`select count(*) from dead_letters where tenant = 'acme' and state in ('open', 'redriving')`: 8,
		`select count(*) from dead_letters where tenant = 'acme'`:                                    12,
		`select count(*) from dead_letters where tenant = 'other'`:                                   20,
		`select count(*) from ledger where tenant = 'acme' and decided_at is null`:                   4,
		`select count(*) from ledger where tenant = 'acme'`:                                          8,
		`select count(*) from ledger where tenant = 'other'`:                                         12,
		`select count(*) from mailbox where tenant = 'acme' and acked_at is null`:                    4,
		`select count(*) from mailbox where tenant = 'other' and acked_at is null`:                   8,
		`select count(*) from mailbox where acked_at is not null`:                                    8,
		`select missed from mailbox_clients where tenant = 'acme'`:                                   4,
		`select waiting from mailbox_clients where tenant = 'acme'`:                                  4,
		`select count(*) from audit_trail where tenant = 'acme' and action = 'retention_ended'`:      4,
		`select count(*) from audit_trail where tenant = 'acme' and action = 'x'`:                    4,
		`select count(*) from audit_trail where tenant = 'other' and action = 'x'`:                   8,
		`select count(*) from desk_jobs`:                                                             0,
	} {
		if n := h.count(sql); n != want {
			t.Errorf("%s: %d, want %d", sql, n, want)
		}
	}
	counts, _, err := deadletter.New(h.pool).Counts(t.Context(), deadletter.Filter{Tenant: "acme"}, 0)
	if err != nil || counts[deadletter.Open] != 4 || counts[deadletter.Redriven] != 0 || counts[deadletter.Discarded] != 4 {
		t.Errorf("counts %v, %v", counts, err)
	}
}

// A copy of a command may come out of its lane as long as the lane keeps it: its row stays, whatever the terms say.
func TestTheLedgerOutlivesItsLanes(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.command("acme", "web", true, 24*time.Hour+30*time.Minute)
	if err := h.janitor(topology.Lane{MaxTTL: time.Hour}, topology.Lane{MaxTTL: day}).Retain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := h.count(`select count(*) from ledger`); n != 1 {
		t.Error("the row of a command that a lane of a day may still give out is gone")
	}
}

// waitFor a condition of the database's, which no signal tells of.
func (h *house) waitFor(what, sql string) {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for h.count(sql) == 0 {
		select {
		case <-tick.C:
		case <-limit:
			h.t.Fatalf("it never came: %s", what)
		}
	}
}

// One of two works; when it is gone, the other does.
func TestOneWorksAtATime(t *testing.T) {
	t.Parallel()
	h := open(t)
	first, second := h.janitor(), h.janitor()
	stops := map[*janitor.Janitor]func(){}
	run := func(j *janitor.Janitor) { stops[j] = h.run(j) }
	stop := func(j *janitor.Janitor) { stops[j]() }
	// The janitor's own lock, "cupjan" in hexadecimal: whoever tidies facets holds another one for a moment.
	const its = `locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
		and (classid::bigint << 32 | objid::bigint) = x'6375706a616e'::bigint`
	const holders = `select count(*) from pg_locks where granted and ` + its
	run(first)
	h.waitFor("the first works", holders)
	run(second)
	h.letter("acme", "web", deadletter.Discarded, 31*day)
	h.waitFor("retention ends", `select (count(*) = 0)::int from dead_letters`)
	if n := h.count(holders); n != 1 {
		t.Errorf("%d hold the lock", n)
	}
	stop(first)
	h.letter("acme", "web", deadletter.Discarded, 31*day)
	h.waitFor("the second takes over", `select (count(*) = 0)::int from dead_letters`)
	// The connection that holds the lock is lost.
	h.do(`select pg_terminate_backend(pid) from pg_locks where pid <> pg_backend_pid() and ` + its)
	h.letter("acme", "web", deadletter.Discarded, 31*day)
	h.waitFor("it works again", `select (count(*) = 0)::int from dead_letters`)
	stop(second)
}

// Nothing of a client's payloads is left, but what never-twice needs until no lane can give out a copy.
func TestErasureOfAClient(t *testing.T) {
	t.Parallel()
	h := open(t)
	for range 4 {
		for _, client := range []string{"web", "app"} {
			h.letter("acme", client, deadletter.Open, time.Hour)
			h.letter("acme", client, deadletter.Redriven, time.Hour)
			h.outcome("acme", client, false, time.Hour)
			h.outcome("acme", client, true, time.Minute)
			h.command("acme", client, true, time.Minute)
		}
		h.letter("other", "web", deadletter.Open, time.Hour)
	}
	late := h.letter("acme", "web", deadletter.Redriving, time.Hour) // under way when it is asked for
	h.command("acme", "web", false, time.Minute)
	s := erasure.New(h.pool)
	e, err := s.Request(t.Context(), "acme", "web", "ann", "asked by letter")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Request(t.Context(), "acme", "web", "bob", "again"); err == nil {
		t.Error("it was taken twice")
	}
	j := h.janitor(topology.Lane{MaxTTL: time.Hour})
	h.run(j)
	h.waitFor("the first round", `select count(*) from erasures where state = 'waiting' and due_at = created_at + interval '2 hours'`)
	const secrets = `select count(*) from dead_letters where tenant = $1 and client = $2 and (position('secret' in encode(payload, 'escape')) > 0
		or detail <> '' or outcome is not null)`
	check := func(sql string, want int64, args ...any) {
		t.Helper()
		if n := h.count(sql, args...); n != want {
			t.Errorf("%s: %d, want %d", sql, n, want)
		}
	}
	check(secrets, 1, "acme", "web")
	check(secrets, 8, "acme", "app")
	check(secrets, 4, "other", "web")
	check(`select count(*) from dead_letters where tenant = 'acme' and client = 'web' and state = 'discarded' and changed_why = 'erased: asked by letter'`, 4)
	check(`select count(*) from mailbox where client = 'web'`, 0)
	check(`select missed from mailbox_clients where client = 'web'`, 4)
	check(`select count(*) from ledger where client = 'web'`, 5)
	// Its redrive ends, the worker decides, and the time passes.
	h.do(`update dead_letters set state = 'redriven' where letter_id = $1`, [16]byte(late))
	h.do(`update erasures set due_at = now()`)
	h.waitFor("all but the open row", `select (count(*) = 1)::int from ledger where client = 'web'`)
	check(`select count(*) from erasures where state = 'waiting'`, 1)
	h.do(`update ledger set outcome = '{}', decided_at = now() where client = 'web'`)
	h.waitFor("the end", `select count(*) from erasures where state = 'done'`)
	check(secrets, 0, "acme", "web")
	check(`select count(*) from ledger where client = 'web'`, 0)
	check(`select count(*) from ledger where client = 'app'`, 4)
	check(`select count(*) from mailbox where client = 'app'`, 8)
	done, err := s.Get(t.Context(), "acme", e.ErasureID)
	if err != nil || done.Letters != 9 || done.Outcomes != 8 || done.Commands != 5 || done.Finished.IsZero() {
		t.Errorf("%+v, %v", done, err)
	}
	check(`select count(*) from audit_trail where action in ('erasure_requested', 'erasure_done')`, 2)
}

// A whole tenant's: all of its clients, and its keys are good for nothing from then on.
func TestErasureOfATenant(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.do(`insert into api_keys (tenant, key_id, client, name, hash, scopes) values ('acme', 'k', 'web', '', sha256('x'), '{}')`)
	h.letter("acme", "web", deadletter.Open, time.Hour)
	h.letter("acme", "app", deadletter.Open, time.Hour)
	h.letter("other", "web", deadletter.Open, time.Hour)
	if _, err := erasure.New(h.pool).Request(t.Context(), "acme", "", "ann", "they left"); err != nil {
		t.Fatal(err)
	}
	if n := h.count(`select count(*) from api_keys where revoked_at is null`); n != 0 {
		t.Error("a key is still good")
	}
	h.run(h.janitor())
	h.waitFor("the first round", `select count(*) from erasures where state = 'waiting' and letters = 2`)
	if n := h.count(`select count(*) from dead_letters where erased_at is null`); n != 1 {
		t.Errorf("%d letters are whole", n)
	}
}
