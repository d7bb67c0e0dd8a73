package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/cupline/cupline/api/internal/auth"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/store/ledger"
	"github.com/cupline/cupline/store/mailbox"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, test := range map[string]func(*testing.T, *world){
		"StateOfACommand": stateOfACommand, "Mailbox": readAndAck,
		"LongPollEndsInTime": longPollEnds, "MailboxFull": mailboxFull, "BadParameters": badMailboxInput,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := *w
			here.t = t
			test(t, &here)
		})
	}
}

// as makes a client of its own and returns the header that sends as it.
func (w *world) as(client string) []string {
	key := w.newKey("acme", client, auth.CommandsSend, auth.RepliesRead)
	return []string{"Authorization", "Bearer " + key}
}

func stateOfACommand(t *testing.T, w *world) {
	me := w.as("teller")
	writer := must(ledger.NewWriter(w.pool, ledger.Config{}, nil))
	w.check(writer.Start(t.Context()))
	defer func() { w.check(writer.Stop(context.Background())) }()
	accepted := time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)
	claim := func(client, key, raw string, redrive int) ledger.Claim {
		c := ledger.Claim{
			Key:   ledger.Key{Tenant: "acme", Client: client, ID: []byte(key), Redrive: redrive},
			RawID: []byte(raw), CommandID: must(uuid.NewV7()), Token: uuid.New(), Device: "lamp-1", DeviceType: "lamp",
			Method: "relay.set", Lane: "default", Timeout: time.Second, Accepted: accepted, Deadline: accepted.Add(time.Minute),
		}
		_, err := writer.Claim(t.Context(), c)
		w.check(err)
		return c
	}
	number, text := claim("teller", "i:42", "42", 0), claim("teller", "s:42", `"4\u0032"`, 0)
	again := claim("teller", "s:42", `"4\u0032"`, 1)
	alien := claim("other", "s:42", `"42"`, 0)

	one := w.do("GET", "/v1/commands/"+number.CommandID.String(), "", me...)
	want := fmt.Sprintf(`{"id":42,"command_id":"%s","redrive":0,"device":"lamp-1","method":"relay.set","lane":"default","state":"open",`+
		`"accepted_at":"2026-03-01T12:00:00.25Z","expires_at":"2026-03-01T12:01:00.25Z","started_at":"`, number.CommandID)
	if one.status != 200 || !strings.HasPrefix(one.body, want) || strings.Contains(one.body, "response") {
		t.Errorf("open: %v\nwant %s", one, want)
	}
	response := `{"jsonrpc":"2.0","id":"4\u0032","result":"<b>"}`
	_, _, err := writer.Decide(t.Context(), ledger.Decision{Key: text.Key, CommandID: text.CommandID, Outcome: []byte(response), Origin: "device"})
	w.check(err)
	w.check(writer.Delivered(t.Context(), []ledger.DeliveredMark{{Tenant: "acme", Client: "teller", CommandID: text.CommandID}}))

	var found struct {
		Commands []struct {
			CommandID   uuid.UUID `json:"command_id"`
			Redrive     int
			State       string
			DeliveredAt *time.Time `json:"delivered_at"`
		}
	}
	got := w.do("GET", `/v1/commands?id=%2242%22`, "", me...)
	w.into(got, &found)
	if len(found.Commands) != 2 || found.Commands[0].CommandID != text.CommandID || found.Commands[0].State != "decided" || found.Commands[0].DeliveredAt == nil ||
		found.Commands[1].CommandID != again.CommandID || found.Commands[1].Redrive != 1 || found.Commands[1].State != "open" {
		t.Errorf("of the string: %v", got)
	}
	if !strings.Contains(got.body, `"id":"4\u0032"`) || !strings.Contains(got.body, `"origin":"device","response":`+response) {
		t.Errorf("bytes are kept: %v", got)
	}
	if got := w.do("GET", `/v1/commands?id=42`, "", me...); !strings.Contains(got.body, number.CommandID.String()) || strings.Contains(got.body, text.CommandID.String()) {
		t.Errorf("of the integer: %v", got)
	}
	for _, path := range []string{
		"/v1/commands/" + alien.CommandID.String(), "/v1/commands/" + uuid.NewString(), "/v1/commands/x", "/v1/commands?id=none",
		"/v1/commands/" + strings.ReplaceAll(number.CommandID.String(), "-", ""),
	} {
		got := w.do("GET", path, "", me...)
		w.expect(got, 404, "unknown_command")
		if !strings.Contains(got.body, "not started yet, never accepted, or forgotten") {
			t.Errorf("%s: %v", path, got)
		}
	}
	for _, query := range []string{"", "?id=", "?id=%22", "?id=9007199254740993"} {
		w.expect(w.do("GET", "/v1/commands"+query, "", me...), 400, "invalid_parameter")
	}
}

// item is an outcome for a client.
func item(client, raw string) mailbox.Item {
	now := time.Date(2026, 3, 1, 12, 0, 0, 250e6, time.UTC)
	return mailbox.Item{
		Tenant: "acme", Client: client, CommandID: must(uuid.NewV7()), RawID: []byte(raw), Device: "lamp-1", Method: "relay.set", Lane: "default",
		Origin: "device", Accepted: now, At: now, Response: []byte(`{"jsonrpc":"2.0","id":` + raw + `,"result":"<b>"}`),
	}
}

func (w *world) store(items ...mailbox.Item) {
	w.t.Helper()
	_, err := mailbox.New(w.pool, mailbox.Limits{}).Put(context.Background(), items)
	w.check(err)
}

type waiting struct {
	Outcomes []struct {
		CommandID string `json:"command_id"`
	}
	Waiting int64
}

func readAndAck(t *testing.T, w *world) {
	me := w.as("reader")
	if got := w.do("GET", "/v1/mailbox", "", me...); got.body != `{"outcomes":[],"waiting":0}` {
		t.Errorf("empty: %v", got)
	}
	first, second := item("reader", `"c<\u0034>2"`), item("reader", `7`)
	w.store(first, second, item("somebody", `1`))
	want := fmt.Sprintf(`{"outcomes":[{"type":"outcome","id":"c<\u0034>2","command_id":"%s","redrive":0,"device":"lamp-1","method":"relay.set",`+
		`"at":"2026-03-01T12:00:00.25Z","origin":"device","source":"mailbox","response":{"jsonrpc":"2.0","id":"c<\u0034>2","result":"<b>"}}],"waiting":2}`, first.CommandID)
	for range 2 { // it stays until it is acked
		got := w.do("GET", "/v1/mailbox?limit=1", "", me...)
		if diff := cmp.Diff(want, got.body); diff != "" {
			t.Error(diff)
		}
	}
	for range 2 { // acking again changes nothing
		w.expect(w.do("POST", "/v1/mailbox/ack", fmt.Sprintf(`{"command_ids":["%s","%s"]}`, first.CommandID, uuid.NewString()), me...), 204, "")
	}
	var left waiting
	w.into(w.do("GET", "/v1/mailbox?wait=10s", "", me...), &left)
	if left.Waiting != 1 || len(left.Outcomes) != 1 || left.Outcomes[0].CommandID != second.CommandID.String() {
		t.Errorf("left %+v", left)
	}
	// Nobody acks for somebody else.
	w.expect(w.do("POST", "/v1/mailbox/ack", fmt.Sprintf(`{"command_ids":["%s"]}`, second.CommandID), w.as("thief")...), 204, "")
	w.into(w.do("GET", "/v1/mailbox", "", me...), &left)
	if left.Waiting != 1 {
		t.Errorf("left %+v", left)
	}
}

// A poll that waits is answered when an outcome is stored, each one its own client's.
func TestLongPollWakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var wg sync.WaitGroup
	var outcomes []mailbox.Item
	for i := range 4 {
		client := fmt.Sprint("poller-", i)
		me, want := w.as(client), item(client, fmt.Sprint(i))
		wg.Go(func() {
			got := w.do("GET", "/v1/mailbox?wait=30s", "", me...)
			if !strings.Contains(got.body, want.CommandID.String()) || got.took > 20*time.Second {
				t.Errorf("%s after %s: %v", client, got.took, got)
			}
		})
		outcomes = append(outcomes, want)
	}
	brokertest.Eventually(t, "the polls wait", func() bool { return w.metric("cupline_api_long_polls") == 4 })
	w.store(outcomes...)
	wg.Wait()
}

// A client that hangs up ends its poll, and is nobody's fault.
func TestLongPollHangUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	r := must(http.NewRequestWithContext(ctx, "GET", "http://"+w.app.Addr()+"/v1/mailbox?wait=60s", nil))
	r.Header.Set("Authorization", "Bearer "+w.key)
	ended := make(chan error, 1)
	go func() {
		_, err := w.base.RoundTrip(r)
		ended <- err
	}()
	brokertest.Eventually(t, "the poll waits", func() bool { return w.metric("cupline_api_long_polls") == 1 })
	hangUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	brokertest.Eventually(t, "the poll has ended", func() bool { return w.metric("cupline_api_requests_under_way") == 0 })
	if n := w.metric(`cupline_api_request_seconds_count{method="GET",route="/v1/mailbox",status="499"}`); n != 1 {
		t.Errorf("%v polls hung up", n)
	}
}

func longPollEnds(t *testing.T, w *world) {
	got := w.do("GET", "/v1/mailbox?wait=300ms", "", w.as("patient")...)
	if got.body != `{"outcomes":[],"waiting":0}` || got.took < 300*time.Millisecond || got.took > 10*time.Second {
		t.Errorf("after %s: %v", got.took, got)
	}
}

func mailboxFull(t *testing.T, w *world) {
	me := w.as("hoarder")
	w.expect(w.post("lamp-1", set, me...), 202, "")
	hoard := mailbox.New(w.pool, mailbox.Limits{Outcomes: 2, Bytes: 1 << 20})
	items := []mailbox.Item{item("hoarder", "1"), item("hoarder", "2")}
	_, err := hoard.Put(t.Context(), items)
	w.check(err)
	var refused answer
	brokertest.Eventually(t, "commands are refused", func() bool {
		refused = w.post("lamp-1", set, me...)
		return refused.status != 202
	})
	w.expect(refused, 429, "mailbox_full")
	if refused.header.Get("Retry-After") == "" || !strings.Contains(refused.body, `"id":"c-42"`) {
		t.Errorf("%v %v", refused, refused.header)
	}
	w.expect(w.post("lamp-1", set), 202, "") // another client goes on
	w.expect(w.do("POST", "/v1/mailbox/ack", fmt.Sprintf(`{"command_ids":["%s","%s"]}`, items[0].CommandID, items[1].CommandID), me...), 204, "")
	brokertest.Eventually(t, "commands are taken again", func() bool { return w.post("lamp-1", set, me...).status == 202 })
}

func badMailboxInput(t *testing.T, w *world) {
	for _, query := range []string{"wait=61s", "wait=-1s", "wait=soon", "wait=20", "limit=0", "limit=257", "limit=x"} {
		w.expect(w.do("GET", "/v1/mailbox?"+query, ""), 400, "invalid_parameter")
	}
	for _, body := range []string{`{}`, `{"command_ids":[]}`, `{"command_ids":["x"]}`, `{"command_ids":"x"}`, `{"command_ids":[7]}`, `{"ids":[]}`,
		`{"command_ids":["` + strings.Repeat(uuid.NewString()+`","`, 256) + uuid.NewString() + `"]}`,
	} {
		w.expect(w.do("POST", "/v1/mailbox/ack", body), 400, "invalid_request")
	}
}
