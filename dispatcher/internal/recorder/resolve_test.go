package recorder

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/store/ledger"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// sent is a command as an api publishes it.
func sent(body string, change ...func(*envelope.Command)) envelope.Command {
	c := envelope.Command{
		Lane: "default", Tenant: "acme", Device: "lamp-1", Client: "app", ID: uuid.Must(uuid.NewV7()),
		DeviceType: "lamp", Driver: "mqtt", Timeout: 5 * time.Second, Accepted: start, Deadline: start.Add(time.Minute),
		Body: []byte(body),
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

const setRelay = `{"jsonrpc":"2.0","id":"c-1","method":"relay.set","params":{"on":true}}`

// buried is the command as a dispatcher gives it to the recorder; the zero verdict is that
// of a broker, which says it in x-death.
func buried(c envelope.Command, v envelope.Verdict) message.Message {
	m := c.Message(start)
	if v.Reason == "" {
		m.Headers["x-death"] = []any{map[string]any{"queue": "cupline.work.default", "reason": "expired", "count": int64(1)}}
		m.Expiration = 0
		return m
	}
	return envelope.Bury(m, v)
}

// row is c's own, started at start under token.
func row(c envelope.Command, token uuid.UUID) *ledger.Row {
	r := &ledger.Row{Started: start}
	r.CommandID, r.Token, r.Digest, r.Timeout = c.ID, token, c.Digest(), c.Timeout
	return r
}

func decided(r *ledger.Row, origin string, reason outcome.Reason) *ledger.Row {
	r.Outcome, r.Origin, r.Reason, r.Decided = []byte("said"), origin, string(reason), start
	return r
}

// lost is the first moment at which the worker of row counts as gone.
var lost = start.Add(7 * time.Second)

func TestWhatALetterComesTo(t *testing.T) {
	t.Parallel()
	token, other := uuid.New(), uuid.New()
	offline := envelope.Verdict{Reason: outcome.DeviceOffline, Claim: token}
	undeliverable := verdictOfNoDriver
	unledgered := func(c *envelope.Command) { c.Unledgered = true }
	first := sent(setRelay)
	elsewhere := sent(setRelay, func(c *envelope.Command) { c.Device = "lamp-2" })
	for name, test := range map[string]struct {
		verdict  envelope.Verdict
		change   func(*envelope.Command)
		row      func(c envelope.Command) *ledger.Row
		now      time.Time
		reason   outcome.Reason // of the letter; empty for none
		executed outcome.Executed
		decides  bool
		hold     time.Duration
		audit    string
	}{
		"expired in the queue, never claimed": {reason: outcome.Expired, executed: outcome.No, decides: true, audit: "dead_letter"},
		"no driver, never claimed": {verdict: undeliverable,
			reason: outcome.Undeliverable, executed: outcome.No, decides: true, audit: "dead_letter"},
		"expired, no ledger": {change: unledgered, reason: outcome.Expired, executed: outcome.Maybe, audit: "dead_letter"},
		"offline, no ledger": {verdict: envelope.Verdict{Reason: outcome.DeviceOffline}, change: unledgered,
			reason: outcome.DeviceOffline, executed: outcome.No, audit: "dead_letter"},
		"offline under its own claim": {verdict: offline,
			row:    func(c envelope.Command) *ledger.Row { return row(c, token) },
			reason: outcome.DeviceOffline, executed: outcome.No, decides: true, audit: "dead_letter"},
		"no answer under its own claim": {verdict: envelope.Verdict{Reason: outcome.NoAnswer, Claim: token},
			row:    func(c envelope.Command) *ledger.Row { return row(c, token) },
			reason: outcome.NoAnswer, executed: outcome.Maybe, decides: true, audit: "dead_letter"},
		"undeliverable under its own claim": {verdict: envelope.Verdict{Reason: outcome.Undeliverable, Claim: token},
			row:    func(c envelope.Command) *ledger.Row { return row(c, token) },
			reason: outcome.Undeliverable, executed: outcome.Maybe, decides: true, audit: "dead_letter"},
		"offline under a claim that another took over": {verdict: offline,
			row:  func(c envelope.Command) *ledger.Row { return row(c, other) },
			hold: 7 * time.Second},
		"expired while it ran, worker perhaps alive": {
			row: func(c envelope.Command) *ledger.Row { return row(c, other) },
			now: lost.Add(-time.Millisecond), hold: time.Millisecond},
		"expired while it ran, worker gone": {
			row: func(c envelope.Command) *ledger.Row { return row(c, other) },
			now: lost, reason: outcome.WorkerLost, executed: outcome.Maybe, decides: true, audit: "dead_letter"},
		"offline under an old claim, the new worker gone": {verdict: offline,
			row: func(c envelope.Command) *ledger.Row { return row(c, other) },
			now: lost, reason: outcome.WorkerLost, executed: outcome.Maybe, decides: true, audit: "dead_letter"},
		"worker lost, as a dispatcher found": {verdict: envelope.Verdict{Reason: outcome.WorkerLost},
			row: func(c envelope.Command) *ledger.Row { return row(c, other) },
			now: lost, reason: outcome.WorkerLost, executed: outcome.Maybe, decides: true, audit: "dead_letter"},
		"settled before": {
			row: func(c envelope.Command) *ledger.Row {
				return decided(row(c, uuid.Nil), envelope.OriginPlatform, outcome.Expired)
			}},
		"settled before as worker lost": {
			row: func(c envelope.Command) *ledger.Row {
				return decided(row(c, token), envelope.OriginPlatform, outcome.WorkerLost)
			}},
		"too late: the device's answer is decided": {verdict: envelope.Verdict{Reason: outcome.NoAnswer, Claim: token},
			row: func(c envelope.Command) *ledger.Row {
				return decided(row(c, token), envelope.OriginDevice, "")
			}, audit: "late_letter"},
		"too late: the worker counted as lost": {verdict: envelope.Verdict{Reason: outcome.NoAnswer, Claim: token},
			row: func(c envelope.Command) *ledger.Row {
				return decided(row(c, token), envelope.OriginPlatform, outcome.WorkerLost)
			}, audit: "late_letter"},
		"repeated post, the first is open": {
			row: func(envelope.Command) *ledger.Row { return row(first, token) }, audit: "repeated_post"},
		"repeated post, the first is decided": {
			row:   func(envelope.Command) *ledger.Row { return decided(row(first, token), envelope.OriginDevice, "") },
			audit: "repeated_post"},
		"duplicate id, as a dispatcher found": {
			verdict: envelope.Verdict{Reason: outcome.DuplicateID, FirstCommandID: first.ID.String(), FirstState: "open"},
			row:     func(envelope.Command) *ledger.Row { return row(elsewhere, token) },
			reason:  outcome.DuplicateID, executed: outcome.No, audit: "dead_letter"},
		"duplicate id that expired before a dispatcher saw it": {
			row:    func(envelope.Command) *ledger.Row { return row(elsewhere, token) },
			reason: outcome.DuplicateID, executed: outcome.No, audit: "dead_letter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*envelope.Command)
			if test.change != nil {
				change = append(change, test.change)
			}
			c := sent(setRelay, change...)
			m := buried(c, test.verdict)
			var r *ledger.Row
			if test.row != nil {
				r = test.row(c)
			}
			if test.now.IsZero() {
				test.now = start
			}
			got := read(&m).resolve(r, test.now)
			if got.Hold != test.hold {
				t.Errorf("held for %s, want %s", got.Hold, test.hold)
			}
			var reason outcome.Reason
			var executed outcome.Executed
			if got.Letter != nil {
				reason, executed = outcome.Reason(got.Letter.Reason), outcome.Executed(got.Letter.Executed)
			}
			if reason != test.reason || executed != test.executed {
				t.Errorf("letter %q, executed %q; want %q, %q", reason, executed, test.reason, test.executed)
			}
			if (got.Decide != nil) != test.decides {
				t.Errorf("decision %+v", got.Decide)
			}
			var audited string
			for _, entry := range got.Audit {
				audited += entry.Action
			}
			if audited != test.audit {
				t.Errorf("audit trail %q, want %q", audited, test.audit)
			}
		})
	}
}

// TestNoLetterEverLies goes through every letter and every row, and holds what comes of
// them to the promises, whatever the rules in between are.
func TestNoLetterEverLies(t *testing.T) {
	t.Parallel()
	token := uuid.New()
	first, elsewhere := sent(setRelay), sent(setRelay, func(c *envelope.Command) { c.Device = "lamp-2" })
	rows := map[string]func(envelope.Command) *ledger.Row{
		"none":            func(envelope.Command) *ledger.Row { return nil },
		"open":            func(c envelope.Command) *ledger.Row { return row(c, token) },
		"open, another's": func(c envelope.Command) *ledger.Row { return row(c, uuid.New()) },
		"answered": func(c envelope.Command) *ledger.Row {
			return decided(row(c, token), envelope.OriginDevice, "")
		},
		"ended": func(c envelope.Command) *ledger.Row {
			return decided(row(c, uuid.Nil), envelope.OriginPlatform, outcome.Expired)
		},
		"first open":     func(envelope.Command) *ledger.Row { return row(first, token) },
		"first answered": func(envelope.Command) *ledger.Row { return decided(row(first, token), envelope.OriginDevice, "") },
		"elsewhere":      func(envelope.Command) *ledger.Row { return row(elsewhere, token) },
	}
	commands := map[string]envelope.Command{
		"plain":      sent(setRelay),
		"one-way":    sent(`{"jsonrpc":"2.0","method":"beep"}`),
		"unledgered": sent(setRelay, func(c *envelope.Command) { c.Unledgered = true }),
		"malformed":  sent(setRelay, func(c *envelope.Command) { c.DeviceType = "no id" }),
		"no request": sent(`garbage`),
	}
	for _, reason := range append(outcome.Reasons(), "") {
		for _, claim := range []uuid.UUID{uuid.Nil, token} {
			for commandName, c := range commands {
				for rowName, rowOf := range rows {
					for _, now := range []time.Time{start, lost} {
						m := buried(c, envelope.Verdict{Reason: reason, Claim: claim})
						d, r := read(&m), rowOf(c)
						if d.row().Tenant == "" {
							r = nil // nothing to look for a row by
						}
						got := d.resolve(r, now)
						if problem := lie(d, r, now, got); problem != "" {
							t.Errorf("%s letter with reason %q (claim %t), row %s, lost %t: %s", commandName, reason, claim != uuid.Nil, rowName, now.Equal(lost), problem)
						}
					}
				}
			}
		}
	}
}

// lie says which promise a resolution breaks.
func lie(d *dead, r *ledger.Row, now time.Time, got resolution) string {
	own := r != nil && r.CommandID == d.command.ID
	open := own && r.Open()
	var told outcome.Failure
	if got.failure != nil {
		told = *got.failure
	}
	switch {
	case (got.Letter != nil) != (got.failure != nil):
		return "a letter without a meaning, or the other way round"
	case got.Hold > 0 && (got.Letter != nil || got.Decide != nil || len(got.Audit) > 0):
		return "something is written while it is held"
	case got.Hold > 0 && (!open || !now.Before(lost)):
		return "held for a worker that is gone"
	case got.Decide != nil && r != nil && !open:
		return "a row is decided that is not this command's, or is decided"
	case got.Decide != nil && r == nil && (d.command.Unledgered || d.malformed != nil):
		return "a row is made for a command that nobody claims"
	case open && got.Hold == 0 && got.Decide == nil:
		return "an open row stays open"
	case told.Executed == outcome.No && open && d.letter.Claim != r.Token:
		return "\"not executed\", and another worker had started it"
	case told.Executed == outcome.No && open && told.Reason.Executed(true) == outcome.Maybe:
		return "\"not executed\", of a started command and a reason that cannot know"
	case told.Executed == outcome.No && r == nil && d.command.Unledgered && told.Reason != outcome.DeviceOffline && told.Reason != outcome.DeviceBusy:
		return "\"not executed\", without a ledger to tell"
	case own && !open && got.Letter != nil:
		return "terminal words change"
	case got.Decide != nil && (string(told.Reason) != got.Decide.Reason || got.Decide.Outcome == nil):
		return "the ledger gets other words than the client, or none"
	case r == nil && d.named() && d.malformed == nil && !d.command.Unledgered && got.Decide == nil:
		return "a late worker could still claim it"
	}
	return ""
}

func TestWhatTheClientIsTold(t *testing.T) {
	t.Parallel()
	token := uuid.New()
	first := sent(setRelay)
	c := sent(setRelay)
	for name, test := range map[string]struct {
		verdict envelope.Verdict
		before  *ledger.Row
		after   func(resolution) *ledger.Row
		want    string // part of the body; empty for nothing
	}{
		"what the row says": {before: decided(row(c, token), envelope.OriginDevice, ""), want: "said"},
		"what was decided": {verdict: envelope.Verdict{Reason: outcome.NoAnswer, Claim: token}, before: row(c, token),
			after: func(r resolution) *ledger.Row {
				written := row(c, token)
				written.Outcome, written.Origin, written.Reason, written.Decided = r.Decide.Outcome, r.Decide.Origin, r.Decide.Reason, lost
				return written
			}, want: `"id":"c-1","error":{"code":-32012,`},
		"nothing, the first copy will answer":  {before: row(first, token)},
		"what the first copy came to":          {before: decided(row(first, token), envelope.OriginDevice, ""), want: "said"},
		"duplicate id, whatever the row says":  {verdict: envelope.Verdict{Reason: outcome.DuplicateID, FirstCommandID: "x"}, before: decided(row(first, token), envelope.OriginDevice, ""), want: `"reason":"duplicate_id"`},
		"what cannot be stored is told anyway": {verdict: envelope.Verdict{Reason: outcome.Unrecordable}, want: `"reason":"unrecordable","executed":"maybe"`},
	} {
		m := buried(c, test.verdict)
		d := read(&m)
		r := d.resolve(test.before, lost)
		after := test.before
		if test.after != nil {
			after = test.after(r)
		}
		got := d.tell(&r, after, lost)
		switch {
		case test.want == "" && got != nil:
			t.Errorf("%s: told %s", name, got.Body)
		case test.want != "" && (got == nil || !strings.Contains(string(got.Body), test.want)):
			t.Errorf("%s: told %+v", name, got)
		case got != nil && (got.CommandID != c.ID || got.Client != "app"):
			t.Errorf("%s: told to %s under %s", name, got.Client, got.CommandID)
		}
	}
}

// TestGarbage has what cannot be read at all, or only in part.
func TestGarbage(t *testing.T) {
	t.Parallel()
	malformed := sent(setRelay, func(c *envelope.Command) { c.DeviceType = "no id" })
	asSent := malformed.Message(start)
	for name, test := range map[string]struct {
		m      message.Message
		tenant string
		told   bool
	}{
		"nothing at all":         {message.Message{}, "system", false},
		"some bytes":             {message.Message{Key: "x", Body: []byte{0xff, 0}, Headers: map[string]any{"a": []byte{0}, "b": "\xff"}}, "system", false},
		"a queue's name as key":  {message.Message{Key: "cupline.work.default", Body: []byte("x")}, "system", false},
		"only a key":             {message.Message{Key: "default.acme.lamp-1", Body: []byte("x")}, "acme", false},
		"a client, no id":        {message.Message{Key: "default.acme.lamp-1", ReplyTo: "acme.app", Body: []byte(setRelay)}, "acme", false},
		"everything but details": {asSent, "acme", true},
	} {
		d := read(&test.m)
		r := d.resolve(nil, start)
		if r.Letter == nil || r.Letter.Reason != string(outcome.Undeliverable) || r.Letter.Tenant != test.tenant || r.Decide != nil {
			t.Errorf("%s: %+v", name, r.Letter)
			continue
		}
		if string(r.Letter.Payload) != string(test.m.Body) || r.Letter.Detail == "" {
			t.Errorf("%s: payload %q, detail %q", name, r.Letter.Payload, r.Letter.Detail)
		}
		told := d.tell(&r, nil, start)
		if (told != nil) != test.told {
			t.Errorf("%s: told %+v", name, told)
		}
		if told != nil {
			out := told.Message()
			if _, err := envelope.ParseOutcome(&out); err != nil {
				t.Errorf("%s: a pusher cannot read it: %v", name, err)
			}
		}
	}
}

func TestDigestTellsMessagesApartButNotRedeliveries(t *testing.T) {
	t.Parallel()
	of := func(m message.Message) string {
		d := digest(&m, properties(&m), table(m.Headers))
		return fmt.Sprintf("%x", d)
	}
	plain := message.Message{Key: "k", Body: []byte("b"), Headers: map[string]any{"a": "1"}}
	again := plain
	again.Headers = map[string]any{"a": "1", deliveryCount: int64(3)}
	if of(plain) != of(again) {
		t.Error("a redelivery has another digest")
	}
	for name, m := range map[string]message.Message{
		"body":    {Key: "k", Body: []byte("c"), Headers: plain.Headers},
		"key":     {Key: "l", Body: []byte("b"), Headers: plain.Headers},
		"headers": {Key: "k", Body: []byte("b"), Headers: map[string]any{"a": int64(1)}},
	} {
		if of(m) == of(plain) {
			t.Errorf("another %s has the same digest", name)
		}
	}
}

var verdictOfNoDriver = envelope.Verdict{Reason: outcome.Undeliverable, Detail: "no driver"}
