package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cupline/cupline/store"
	"github.com/cupline/cupline/store/internal/session"
	"github.com/cupline/cupline/store/internal/storetest"
)

func plainClaim(id string) Claim {
	return Claim{
		Key: Key{Tenant: "acme", Client: "web", ID: []byte(id)}, CommandID: uuid.New(), Token: uuid.New(),
		Device: "d", DeviceType: "t", Method: "m", Lane: "default", Accepted: time.Now(), Deadline: time.Now(),
	}
}

// Three rows that the database refuses stand in one batch with good ones.
func TestBadRowsTakeNobodyDown(t *testing.T) {
	t.Parallel()
	pool := storetest.Database(t).Pool(t)
	metrics := NewMetrics(prometheus.NewRegistry())
	w, err := NewWriter(pool, Config{Connections: 1, MaxBatch: 64}, metrics)
	if err != nil {
		t.Fatal(err)
	}
	const n = 20
	bad := map[int]bool{0: true, 7: true, n - 1: true}
	done := make(chan *operation, n)
	ops := make([]*operation, n)
	for i := range ops {
		c := plainClaim(fmt.Sprintf("%02d", i))
		if bad[i] {
			c.Method = "nul\x00"
		}
		ops[i] = &operation{kind: claiming, claim: c, done: done}
		if err := w.submit(t.Context(), ops[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, op := range ops {
		if bad[i] != errors.Is(op.err, store.ErrRefused) || !bad[i] && (op.err != nil || !op.hit) {
			t.Errorf("row %d: hit %v, %v", i, op.hit, op.err)
		}
	}
	if len(done) != n {
		t.Errorf("%d of %d were answered", len(done), n)
	}
	if refused := testutil.ToFloat64(metrics.refused); refused != float64(len(bad)) {
		t.Errorf("%v counted as refused", refused)
	}
	tooFar, nobody := plainClaim("x"), plainClaim("x")
	tooFar.Redrive, nobody.Token = 1<<40, uuid.Nil
	for _, c := range []Claim{tooFar, nobody} {
		if _, err := w.Claim(t.Context(), c); !errors.Is(err, store.ErrRefused) {
			t.Errorf("a claim that must not reach a batch: %v", err)
		}
	}
}

// Plans made on an empty table must already be those that a large one needs.
func TestStatementsFindTheirRowByItsOwnIndex(t *testing.T) {
	t.Parallel()
	conn, err := session.Acquire(t.Context(), storetest.Database(t).Pool(t).Pool)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "analyze ledger"); err != nil {
		t.Fatal(err)
	}
	id := [16]byte(uuid.New())
	for _, s := range []struct {
		sql, index string
		args       []any
	}{
		{selectSQL, "ledger_pkey", []any{"a", "b", []byte("c"), 0}},
		{reclaimSQL, "ledger_command", []any{"a", "b", []byte("c"), 0, id, id, id}},
		{decideSQL, "ledger_command", []any{"a", "b", []byte("c"), 0, id, []byte("d"), "e", "f", true}},
		{deliveredSQL, "ledger_command", []any{id, "a", "b"}},
		{allDeliveredSQL, "ledger_command", []any{[][16]byte{id}, []string{"a"}, []string{"b"}}},
		{allDeliveredSQL, "Tid Scan on ledger", []any{[][16]byte{id}, []string{"a"}, []string{"b"}}},
	} {
		rows, err := conn.Query(t.Context(), "explain "+s.sql, s.args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line + "\n")
		}
		if rows.Err() != nil || !strings.Contains(plan.String(), s.index) {
			t.Errorf("%s does not go by %s: %v\n%s", s.sql, s.index, rows.Err(), &plan)
		}
	}
}

// What deciding and delivering change stands in no index, so that the row stays on its page.
func TestNoIndexOnWhatChanges(t *testing.T) {
	t.Parallel()
	var indexes string
	err := storetest.Database(t).Pool(t).QueryRow(t.Context(),
		"select string_agg(indexdef, ' ') from pg_indexes where tablename = 'ledger'").Scan(&indexes)
	if err != nil || indexes == "" {
		t.Fatal(indexes, err)
	}
	for _, column := range []string{"token", "started_at", "outcome", "origin", "reason", "decided_at", "delivered_at"} {
		if strings.Contains(indexes, column) {
			t.Errorf("%s is in an index: %s", column, indexes)
		}
	}
}
