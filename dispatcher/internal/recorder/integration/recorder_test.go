// Package integration runs the recorder on a real Postgres.
package integration

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/chassis/linktest"
	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/chassis/postgrestest"
	"github.com/cupline/cupline/dispatcher/internal/claims"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/dispatcher/internal/dispatchtest"
	"github.com/cupline/cupline/dispatcher/internal/recorder"
	"github.com/cupline/cupline/migrations"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
)

func TestMain(m *testing.M) { dispatchtest.Main(m) }

// rig is a recorder whose database is behind a proxy.
type rig struct {
	recorder *recorder.Recorder
	pool     *postgres.Pool // past the proxy
	proxy    *linktest.Proxy
	ledger   *claims.Ledger
}

func newRig(t *testing.T) *rig {
	t.Helper()
	database := dispatchtest.Database(t)
	r := &rig{pool: database.Pool(t), proxy: database.Proxy(t)}
	behind := postgrestest.Open(t, postgres.Config{
		URL: database.As(t, string(migrations.Recorder)).ProxyURL(r.proxy), MaxConns: 4, ApplicationName: "recorder", ConnectTimeout: dispatchtest.Limit,
	})
	metrics, err := recorder.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	clock := postgres.NewClock(r.pool, nil)
	if err := clock.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.recorder = recorder.New(deadletter.New(behind), clock, zaptest.NewLogger(t), metrics, nil, func(string, dispatch.Ending) {})
	r.ledger = claims.New(dispatchtest.Writer(t, r.pool), audit.New(r.pool))
	return r
}

func (r *rig) settle(t *testing.T, m message.Message) *envelope.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), dispatchtest.Limit)
	defer cancel()
	told, err := r.recorder.Settle(ctx, &m)
	if err != nil {
		t.Fatalf("settle: %v", err)
	}
	return told
}

func (r *rig) letters(t *testing.T, tenant string) []deadletter.Letter {
	t.Helper()
	letters, err := deadletter.New(r.pool).List(t.Context(), tenant, time.Time{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

func (r *rig) trail(t *testing.T, tenant string) (actions []string) {
	t.Helper()
	entries, err := audit.New(r.pool).List(t.Context(), tenant, time.Time{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		actions = append(actions, e.Action+" "+e.Reason)
	}
	return actions
}

func bury(c envelope.Command, v envelope.Verdict) message.Message {
	return envelope.Bury(died(c), v)
}

// died is the command as a broker dead-letters it, without a word of a dispatcher.
func died(c envelope.Command) message.Message { return c.Message(time.Now()) }

func says(t *testing.T, told *envelope.Outcome, reason outcome.Reason, executed outcome.Executed) {
	t.Helper()
	want := `"reason":"` + string(reason) + `","executed":"` + string(executed) + `"`
	if told == nil || told.Reason != reason || !strings.Contains(string(told.Body), want) {
		t.Errorf("told %+v, want %s", told, want)
	}
}

func TestLetterTrailAndDecisionOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := dispatchtest.Envelope(dispatchtest.SetRelay)
	token := uuid.New()
	if _, err := r.ledger.Claim(t.Context(), dispatchtest.Read(t, c), token); err != nil {
		t.Fatal(err)
	}
	m := bury(c, envelope.Verdict{Reason: outcome.NoAnswer, Claim: token, Detail: "silence"})
	m.Headers["x-death"] = []any{map[string]any{"queue": "q", "reason": "expired", "count": int64(2), "time": time.Unix(1e9, 0)}}
	first := r.settle(t, m)
	says(t, first, outcome.NoAnswer, outcome.Maybe)
	again := r.settle(t, m)
	if again == nil || string(again.Body) != string(first.Body) || !again.At.Equal(first.At) {
		t.Errorf("the redelivery is told %+v, want what the first was", again)
	}
	if letters := r.letters(t, "acme"); len(letters) != 1 {
		t.Errorf("%d letters", len(letters))
	} else {
		whole, err := deadletter.New(r.pool).Get(t.Context(), "acme", letters[0].LetterID)
		if err != nil || string(whole.Payload) != dispatchtest.SetRelay || string(whole.Outcome) != string(first.Body) ||
			!strings.Contains(string(whole.Deaths), `"count":2`) || !strings.Contains(string(whole.Headers), "cupline-claim") ||
			!strings.Contains(string(whole.Properties), c.ID.String()) || whole.Method != "relay.set" || whole.Detail != "silence" {
			t.Errorf("letter %+v, %v", whole, err)
		}
	}
	if trail := r.trail(t, "acme"); len(trail) != 1 || trail[0] != "dead_letter no_answer" {
		t.Errorf("trail %q", trail)
	}
}

// TestLateClaimFindsTheDecision: a worker that held the command all the while must not start it.
func TestLateClaimFindsTheDecision(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, body := range []string{dispatchtest.SetRelay, `{"jsonrpc":"2.0","method":"beep"}`} {
		c := dispatchtest.Envelope(body)
		told := r.settle(t, died(c)) // as the broker dead-letters it
		row, err := r.ledger.Claim(t.Context(), dispatchtest.Read(t, c), uuid.New())
		if err != nil || row.Decided == nil || row.Decided.Reason != outcome.Undeliverable {
			t.Errorf("the late claim met %+v, %v", row, err)
		}
		if oneWay := dispatchtest.Read(t, c).OneWay(); oneWay == (told != nil) {
			t.Errorf("one-way %t, told %+v", oneWay, told)
		}
	}
}

func TestLetterIsHeldForAWorkerThatMayBeAlive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := dispatchtest.Envelope(dispatchtest.SetRelay, func(c *envelope.Command) { c.Timeout = 500 * time.Millisecond })
	row, err := r.ledger.Claim(t.Context(), dispatchtest.Read(t, c), uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	told := r.settle(t, died(c))
	says(t, told, outcome.WorkerLost, outcome.Maybe)
	if told.At.Before(row.LostAt()) {
		t.Errorf("decided at %s, before %s", told.At, row.LostAt())
	}
}

func TestHeldLetterTellsTheAnswerThatCame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := dispatchtest.Envelope(dispatchtest.SetRelay, func(c *envelope.Command) { c.Timeout = 5 * time.Second }) // held for longer than the answer takes
	command, token := dispatchtest.Read(t, c), uuid.New()
	if _, err := r.ledger.Claim(t.Context(), command, token); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	time.AfterFunc(300*time.Millisecond, func() {
		_, err := r.ledger.Decide(t.Context(), command, token, []byte(`{"answer":1}`))
		answered <- err
	})
	told := r.settle(t, died(c))
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if told == nil || told.Origin != envelope.OriginDevice || string(told.Body) != `{"answer":1}` {
		t.Errorf("told %+v", told)
	}
	if letters := r.letters(t, "acme"); len(letters) != 0 {
		t.Errorf("%d letters for an answered command", len(letters))
	}
}

func TestDatabaseThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.proxy.Refuse()
	settled := make(chan *envelope.Outcome, 1)
	go func() { settled <- r.settle(t, died(dispatchtest.Envelope(dispatchtest.SetRelay))) }()
	dialled := r.proxy.Dialled()
	brokertest.Eventually(t, "it tried again", func() bool { return r.proxy.Dialled() > dialled+1 })
	if len(settled) != 0 {
		t.Fatal("settled without a database")
	}
	r.proxy.Heal()
	says(t, <-settled, outcome.Undeliverable, outcome.No)
}

// TestCommitWhoseAnswerIsLost settles again, and finds what it wrote.
func TestCommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lost := r.proxy.LoseAnswer([]byte("commit"))
	says(t, r.settle(t, died(dispatchtest.Envelope(dispatchtest.SetRelay))), outcome.Undeliverable, outcome.No)
	<-lost
	if letters, trail := r.letters(t, "acme"), r.trail(t, "acme"); len(letters) != 1 || len(trail) != 1 {
		t.Errorf("%d letters, trail %q", len(letters), trail)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.proxy.Refuse()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := died(dispatchtest.Envelope(dispatchtest.SetRelay))
	if _, err := r.recorder.Settle(ctx, &m); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestWhatCannotBeStored has letters that the database refuses, and then also the decision.
func TestWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		constraint string
		decided    bool
	}{
		"the letter":             {"alter table dead_letters add constraint picky check (device <> 'cursed' or tenant = 'system')", true},
		"the letter and the row": {"alter table ledger add constraint picky check (device <> 'cursed')", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if _, err := r.pool.Exec(t.Context(), test.constraint); err != nil {
				t.Fatal(err)
			}
			c := dispatchtest.Envelope(dispatchtest.SetRelay, func(c *envelope.Command) { c.Device = "cursed" })
			m := bury(c, envelope.Verdict{Reason: outcome.Undeliverable})
			for range 2 {
				says(t, r.settle(t, m), outcome.Unrecordable, outcome.Maybe)
			}
			if parked := r.letters(t, "system"); len(parked) != 1 || parked[0].Reason != "unrecordable" {
				t.Errorf("parked %+v", parked)
			}
			var rows int
			if err := r.pool.QueryRow(t.Context(), "select count(*) from ledger where reason = 'unrecordable'").Scan(&rows); err != nil || (rows == 1) != test.decided {
				t.Errorf("%d rows, %v", rows, err)
			}
			// The next one is not touched by it.
			says(t, r.settle(t, bury(dispatchtest.Envelope(`{"jsonrpc":"2.0","id":2,"method":"m"}`), envelope.Verdict{Reason: outcome.Undeliverable})),
				outcome.Undeliverable, outcome.No)
		})
	}
}

func TestGarbageIsParkedOnceForEachMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.pool.Exec(t.Context(), "insert into tenants (tenant) values ('acme')"); err != nil {
		t.Fatal(err)
	}
	garbage := []message.Message{
		{Key: "x", Body: []byte{0xff, 0}, Headers: map[string]any{"h": "\x00\xff"}, ReplyTo: "\x00"},
		{Key: "x", Body: []byte{0xff, 1}},
		{Key: "default.acme.lamp-1", Body: []byte("x"), Type: "\xff"},
		{Key: "default.nobody.lamp-1", Body: []byte("x")}, // no tenant of ours
		{},
	}
	for range 2 {
		for _, m := range garbage {
			if told := r.settle(t, m); told != nil {
				t.Errorf("told %+v", told)
			}
		}
	}
	if system, acme := r.letters(t, "system"), r.letters(t, "acme"); len(system) != 4 || len(acme) != 1 {
		t.Errorf("%d letters of the system, %d of acme; want 4, 1", len(system), len(acme))
	}
}

// TestUnledgeredCommandHasNoRow, not even one that its client's id has on another lane.
func TestUnledgeredCommandHasNoRow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.ledger.Claim(t.Context(), dispatchtest.Read(t, dispatchtest.Envelope(dispatchtest.SetRelay)), uuid.New()); err != nil {
		t.Fatal(err)
	}
	c := dispatchtest.Envelope(dispatchtest.SetRelay, func(c *envelope.Command) { c.Unledgered, c.Device = true, "meter" })
	says(t, r.settle(t, bury(c, envelope.Verdict{Reason: outcome.Expired})), outcome.Expired, outcome.Maybe)
}

func TestRepeatedPostIsToldWhatTheFirstCameTo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second := dispatchtest.Envelope(dispatchtest.SetRelay), dispatchtest.Envelope(dispatchtest.SetRelay)
	command, token := dispatchtest.Read(t, first), uuid.New()
	if _, err := r.ledger.Claim(t.Context(), command, token); err != nil {
		t.Fatal(err)
	}
	if told := r.settle(t, died(second)); told != nil {
		t.Errorf("while the first is open: told %+v", told)
	}
	if _, err := r.ledger.Decide(t.Context(), command, token, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if told := r.settle(t, died(second)); told == nil || string(told.Body) != "first" || told.CommandID != second.ID {
		t.Errorf("told %+v", told)
	}
	elsewhere := dispatchtest.Envelope(dispatchtest.SetRelay, func(c *envelope.Command) { c.Device = "lamp-2" })
	told := r.settle(t, died(elsewhere))
	says(t, told, outcome.DuplicateID, outcome.No)
	if !strings.Contains(string(told.Body), `"first_command_id":"`+first.ID.String()+`","first_state":"`+dispatch.StateDecided+`"`) {
		t.Errorf("told %s", told.Body)
	}
}
