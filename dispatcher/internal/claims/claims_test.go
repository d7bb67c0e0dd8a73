package claims_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/postgres"
	"github.com/cupline/cupline/dispatcher/internal/claims"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/dispatcher/internal/dispatchtest"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/ledger"
)

func TestMain(m *testing.M) { dispatchtest.Main(m) }

const answer = `{"jsonrpc":"2.0","id":"c-1","result":1}`

func newLedger(t *testing.T) (*claims.Ledger, *ledger.Writer, *postgres.Pool) {
	t.Helper()
	pool := dispatchtest.Database(t).Pool(t)
	writer := dispatchtest.Writer(t, pool)
	return claims.New(writer, audit.New(pool)), writer, pool
}

func TestClaimReclaimDecide(t *testing.T) {
	t.Parallel()
	l, _, _ := newLedger(t)
	c := dispatchtest.Read(t, dispatchtest.Envelope(dispatchtest.SetRelay))
	token, other := uuid.New(), uuid.New()
	for range 2 { // the second as after a lost answer
		row, err := l.Claim(t.Context(), c, token)
		if err != nil || row.CommandID != c.ID || row.Token != token || row.Digest != c.Digest || row.Timeout != c.Timeout ||
			row.Decided != nil || time.Since(row.Started).Abs() > time.Minute {
			t.Fatalf("claimed %+v, %v", row, err)
		}
	}
	if row, err := l.Claim(t.Context(), c, other); err != nil || row.Token != token {
		t.Errorf("another claim met %+v, %v", row, err)
	}
	if row, err := l.Reclaim(t.Context(), c, uuid.New(), other); err != nil || row.Token != token {
		t.Errorf("a reclaim from the wrong token left %+v, %v", row, err)
	}
	if row, err := l.Reclaim(t.Context(), c, token, other); err != nil || row.Token != other {
		t.Errorf("a reclaim left %+v, %v", row, err)
	}
	for range 2 {
		row, err := l.Decide(t.Context(), c, other, []byte(answer))
		if err != nil || row.Decided == nil || string(row.Decided.Body) != answer || row.Decided.Origin != envelope.OriginDevice ||
			row.Decided.At.IsZero() {
			t.Fatalf("decided %+v, %v", row, err)
		}
	}
}

func TestOneWayIsDecidedWithoutWords(t *testing.T) {
	t.Parallel()
	l, _, _ := newLedger(t)
	c := dispatchtest.Read(t, dispatchtest.Envelope(`{"jsonrpc":"2.0","method":"beep"}`))
	if _, err := l.Claim(t.Context(), c, uuid.New()); err != nil {
		t.Fatal(err)
	}
	row, err := l.Decide(t.Context(), c, uuid.New(), []byte{})
	if err != nil || row.Decided == nil || len(row.Decided.Body) != 0 {
		t.Errorf("decided %+v, %v", row, err)
	}
}

func TestLateAnswerGoesToTheTrail(t *testing.T) {
	t.Parallel()
	l, writer, pool := newLedger(t)
	c := dispatchtest.Read(t, dispatchtest.Envelope(dispatchtest.SetRelay))
	if _, err := l.Claim(t.Context(), c, uuid.New()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := writer.Decide(t.Context(), ledger.Decision{
		Key: claims.Key(c), CommandID: c.ID, Outcome: []byte("lost"), Origin: envelope.OriginPlatform, Reason: string(outcome.WorkerLost),
	}); err != nil {
		t.Fatal(err)
	}
	row, err := l.Decide(t.Context(), c, uuid.New(), []byte(answer))
	if err != nil || string(row.Decided.Body) != "lost" || row.Decided.Reason != outcome.WorkerLost {
		t.Errorf("the row says %+v, %v", row.Decided, err)
	}
	trail, err := audit.New(pool).List(t.Context(), "acme", time.Time{}, 10)
	if err != nil || len(trail) != 1 || trail[0].Action != "late_answer" || trail[0].CommandID != c.ID {
		t.Errorf("the trail has %+v, %v", trail, err)
	}
}

// TestLedgerThatForgotTheClaim is a failover to a replica that never had it.
func TestLedgerThatForgotTheClaim(t *testing.T) {
	t.Parallel()
	l, _, pool := newLedger(t)
	c := dispatchtest.Read(t, dispatchtest.Envelope(dispatchtest.SetRelay))
	token := uuid.New()
	for _, act := range []func() (dispatch.Row, error){
		func() (dispatch.Row, error) { return l.Decide(t.Context(), c, token, []byte(answer)) },
		func() (dispatch.Row, error) { return l.Reclaim(t.Context(), c, uuid.New(), token) },
	} {
		if _, err := pool.Exec(t.Context(), "delete from ledger"); err != nil {
			t.Fatal(err)
		}
		if row, err := act(); err != nil || row.Token != token {
			t.Errorf("%+v, %v", row, err)
		}
	}
}

func TestRefusedRow(t *testing.T) {
	t.Parallel()
	l, _, pool := newLedger(t)
	if _, err := pool.Exec(t.Context(), "alter table ledger add constraint picky check (device <> 'cursed')"); err != nil {
		t.Fatal(err)
	}
	cursed := dispatchtest.Read(t, dispatchtest.Envelope(dispatchtest.SetRelay, func(c *envelope.Command) { c.Device = "cursed" }))
	if _, err := l.Claim(t.Context(), cursed, uuid.New()); !errors.Is(err, dispatch.ErrUnrecordable) {
		t.Errorf("%v, want ErrUnrecordable", err)
	}
	if _, err := l.Claim(t.Context(), dispatchtest.Read(t, dispatchtest.Envelope(dispatchtest.SetRelay)), uuid.New()); err != nil {
		t.Errorf("the next one: %v", err)
	}
}
