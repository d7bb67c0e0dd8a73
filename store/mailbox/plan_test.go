package mailbox

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/store/internal/session"
	"github.com/cupline/cupline/store/internal/storetest"
)

// Plans made on an empty table must already be those that a large one needs.
func TestStatementsFindTheirRowsByTheRightIndex(t *testing.T) {
	t.Parallel()
	conn, err := session.Acquire(t.Context(), storetest.Database(t).Pool(t).Pool)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "analyze"); err != nil {
		t.Fatal(err)
	}
	id := [16]byte(uuid.New())
	for _, s := range []struct {
		sql, index string
		args       []any
	}{
		{fetchSQL, "mailbox_waiting", []any{"a", "b", [][16]byte{id}, 64, 1000, 70}},
		{oldestSQL, "mailbox_waiting", []any{"a", "b", 70}},
		{ackSQL, "mailbox_pkey", []any{"a", "b", [][16]byte{id}, 10, 1000}},
		{knownSQL, "mailbox_pkey", []any{"a", "b", id}},
		{knownSQL, "ledger_command", []any{"a", "b", id}},
		{pruneSQL, "mailbox_acked", []any{time.Now(), 10}},
		{overdueSQL, "mailbox_stored", []any{"a", time.Now(), 10}},
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
		if rows.Err() != nil || !strings.Contains(plan.String(), s.index) || strings.Contains(plan.String(), "Seq Scan on mailbox ") {
			t.Errorf("%s does not go by %s: %v\n%s", s.sql, s.index, rows.Err(), &plan)
		}
	}
}
