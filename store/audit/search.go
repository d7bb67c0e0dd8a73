package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/cupline/cupline/store"
)

// ErrCursor says that a text is no cursor of the trail.
var ErrCursor = errors.New("not a cursor of the audit trail")

// Filter chooses entries. Fields at their zero value do not choose; all others must hold at once.
type Filter struct {
	// Tenant is required.
	Tenant string
	// From and Before bound the time: [From, Before).
	From, Before time.Time

	Stage, Action, Actor, Reason, Client, Device, Method, Lane string
	CommandID                                                  uuid.UUID
	// Text stands in the detail, in any case of letters.
	Text string
	// DeviceType of the device, where the entry tells it.
	DeviceType string
	// ID is the client's own id: one JSON value, or the text of a string.
	ID string
	// Oldest turns the order round: oldest first.
	Oldest bool
}

// Cursor is the place right behind one entry.
type Cursor struct {
	At  time.Time
	Seq int64
}

// String is the cursor for a client, opaque to it.
func (c Cursor) String() string { return fmt.Sprintf("%d-%d", c.At.UnixMicro(), c.Seq) }

// ParseCursor reads what String wrote, or gives ErrCursor.
func ParseCursor(text string) (Cursor, error) {
	at, seq, found := strings.Cut(text, "-")
	micro, err := strconv.ParseInt(at, 10, 64)
	n, err2 := strconv.ParseInt(seq, 10, 64)
	if !found || err != nil || err2 != nil || micro < 0 || n < 0 {
		return Cursor{}, ErrCursor
	}
	return Cursor{At: time.UnixMicro(micro).UTC(), Seq: n}, nil
}

// Search returns up to limit entries, newest first unless the filter says otherwise, from behind after on (nil: from the newest).
// next is nil at the end.
func (t *Trail) Search(ctx context.Context, f Filter, after *Cursor, limit int) (entries []Entry, next *Cursor, err error) {
	var conditions []string
	var args []any
	add := func(condition string, values ...any) {
		for _, value := range values {
			args = append(args, value)
			condition = strings.Replace(condition, "%s", "$"+strconv.Itoa(len(args)), 1)
		}
		conditions = append(conditions, condition)
	}
	add("tenant = %s", f.Tenant)
	if !f.From.IsZero() {
		add("at >= %s", f.From)
	}
	if !f.Before.IsZero() {
		add("at < %s", f.Before)
	}
	for _, field := range []struct{ column, value string }{
		{"stage", f.Stage}, {"action", f.Action}, {"actor", f.Actor}, {"reason", f.Reason}, {"client", f.Client},
		{"device", f.Device}, {"device_type", f.DeviceType}, {"method", f.Method}, {"lane", f.Lane},
	} {
		if field.value != "" {
			add(field.column+" = %s", field.value)
		}
	}
	if f.CommandID != uuid.Nil {
		add("command_id = %s", [16]byte(f.CommandID))
	}
	if f.ID != "" {
		add("id = any(%s)", f.ids())
	}
	if f.Text != "" {
		add("position(lower(%s::text) in lower(detail)) > 0", f.Text)
	}
	behind, direction := "<", " desc"
	if f.Oldest {
		behind, direction = ">", ""
	}
	if after != nil {
		add("(at, seq) "+behind+" (%s::timestamptz, %s::bigint)", after.At, after.Seq)
	}
	args = append(args, limit+1)
	rows, err := t.pool.Query(ctx, `select tenant, at, seq, stage, action, actor, reason, client, id, command_id,
		device, device_type, method, lane, detail from audit_trail where `+strings.Join(conditions, " and ")+
		` order by at`+direction+`, seq`+direction+` limit $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, nil, store.Fault("search the audit trail", err)
	}
	entries, err = pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, nil, store.Fault("search the audit trail", err)
	}
	if len(entries) > limit {
		entries = entries[:limit]
		last := entries[limit-1]
		next = &Cursor{At: last.At, Seq: last.Seq}
	}
	return entries, next, nil
}

func scan(row pgx.CollectableRow) (e Entry, err error) {
	err = row.Scan(&e.Tenant, &e.At, &e.Seq, &e.Stage, &e.Action, &e.Actor, &e.Reason, &e.Client, &e.ID,
		(*zeronull.UUID)(&e.CommandID), &e.Device, &e.DeviceType, &e.Method, &e.Lane, &e.Detail)
	e.At = e.At.UTC()
	return e, err
}

// ids are all the bytes that an entry may keep of the client's id: as the client wrote it, or as jsonrpc.ID.Key.
func (f *Filter) ids() [][]byte {
	text := strings.TrimSuffix(strings.TrimPrefix(f.ID, `"`), `"`)
	return [][]byte{[]byte(f.ID), []byte(`"` + text + `"`), []byte("s:" + text), []byte("i:" + f.ID)}
}
