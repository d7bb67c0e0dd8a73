package path_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/outcome"
)

func TestACommandReturnsThisMachinesLoad(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	a := n.newAgent(t, linux(10*time.Second), "host")
	listener := listen(t, n.admin, newInbox().handle)
	got, err := listener.Call(bounded(t), a.device, "host.load", nil, cupline.SendOptions{ID: "c-42"})
	if err != nil {
		t.Fatal(err)
	}
	result, err := got.Result()
	if err != nil {
		t.Fatal(err)
	}
	var load struct{ Load15 float64 }
	if err := json.Unmarshal(result, &load); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	var one, five, fifteen float64
	if _, err := fmt.Sscan(string(content), &one, &five, &fifteen); err != nil {
		t.Fatal(err)
	}
	// The slowest of the three moves by hundredths in the moment between both readings.
	if diff := load.Load15 - fifteen; diff > 0.5 || diff < -0.5 {
		t.Errorf("the device says load15 %v, /proc/loadavg %v", load.Load15, fifteen)
	}
	if string(got.ID) != `"c-42"` || got.Origin != "device" || got.Device != a.device || got.Method != "host.load" {
		t.Errorf("outcome %+v", got)
	}
}

func TestTheClientsOwnIDBytesComeBack(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	a := n.newAgent(t, linux(10*time.Second), "host")
	in := newInbox()
	listen(t, n.admin, in.handle)
	for _, id := range []string{`"\u0061\u00e9\n"`, `"é 漢 \ud83d\ude00"`, `42`, `-7`, `"42"`} {
		body := fmt.Sprintf(` { "params" : {"x" : [1.50, "\u0061"]} , "id":%s ,"jsonrpc":"2.0","method":"echo"} `, id)
		accepted, err := n.admin.SendRaw(bounded(t), a.device, []byte(body), 0)
		if err != nil {
			t.Fatalf("id %s: %v", id, err)
		}
		got := in.await(t, accepted.CommandID)
		var response struct{ ID json.RawMessage }
		if err := json.Unmarshal(got.Response, &response); err != nil {
			t.Fatal(err)
		}
		if string(got.ID) != id || string(response.ID) != id || string(accepted.ID) != id {
			t.Errorf("id %s came back as %s in the frame, %s in the response, %s in the 202", id, got.ID, response.ID, accepted.ID)
		}
	}
}

func TestADeviceOverHTTP(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	device1 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ ID json.RawMessage }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("the device cannot read the request: %v", err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":"by http"}`, request.ID)
	}))
	defer device1.Close()
	ctx := bounded(t)
	if _, err := n.admin.PutDeviceType(ctx, device.Type{Name: "web", Lane: "default", Driver: "http"}); err != nil {
		t.Fatal(err)
	}
	const gone = "http://127.0.0.1:1" // nobody listens there
	for name, address := range map[string]string{"there": device1.URL, "gone": gone} {
		d := device.Device{ID: name, Type: "web", Address: json.RawMessage(`{"url":"` + address + `"}`)}
		if _, err := n.admin.PutDevice(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	listener := listen(t, n.admin, newInbox().handle)
	got, err := listener.Call(ctx, "there", "anything", nil, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if result, err := got.Result(); err != nil || string(result) != `"by http"` {
		t.Errorf("result %s, %v", result, err)
	}
	got, err = listener.Call(ctx, "gone", "anything", nil, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, got, outcome.DeviceOffline, outcome.No)
}

// failureOf is the platform's error in an outcome.
func failureOf(t *testing.T, got cupline.Outcome) cupline.PlatformError {
	t.Helper()
	_, err := got.Result()
	var failure *cupline.PlatformError
	if !errors.As(err, &failure) {
		t.Fatalf("outcome %s: want an error of the platform", got.Response)
	}
	return *failure
}

// wantFailure checks a platform error's words.
func wantFailure(t *testing.T, got cupline.Outcome, reason outcome.Reason, executed outcome.Executed) {
	t.Helper()
	failure := failureOf(t, got)
	if failure.Reason != reason || failure.Executed != executed || failure.CommandID != got.CommandID {
		t.Errorf("failure %+v: want %s, executed %s", failure, reason, executed)
	}
}

func TestWhatDevicesDoWrong(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	a := n.newAgent(t, linux(5*time.Second), "host") // in which it begins, busy as the machine may be
	listener := listen(t, n.admin, newInbox().handle)
	for _, c := range []struct {
		method string
		params any
		reason outcome.Reason // empty: the device's own answer
		result string
	}{
		{method: "test.never", reason: outcome.NoAnswer},
		{method: "test.late", params: map[string]any{"seconds": 30}, reason: outcome.NoAnswer},
		// It names no command, so it answers none.
		{method: "test.garbage", reason: outcome.NoAnswer},
		{method: "test.huge", reason: outcome.BadAnswer},
		{method: "test.other_id", reason: outcome.NoAnswer},
		{method: "test.twice", result: `"first"`},
		{method: "test.lines", result: `"lines"`},
	} {
		t.Run(c.method, func(t *testing.T) {
			t.Parallel()
			call, err := listener.Begin(bounded(t), a.device, c.method, c.params, cupline.SendOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := call.Wait(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			if ran := a.executions(t)[got.CommandID]; ran != 1 {
				t.Errorf("executed %d times", ran)
			}
			if c.reason != "" {
				wantFailure(t, got, c.reason, outcome.Maybe)
				return
			}
			if result, err := got.Result(); err != nil || string(result) != c.result {
				t.Errorf("result %s, %v: want %s", result, err, c.result)
			}
		})
	}
}

func TestADeviceThatIsNotThere(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	ctx := bounded(t)
	if _, err := n.admin.PutDeviceType(ctx, linux(5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.admin.PutDevice(ctx, device.Device{ID: "absent", Type: "linux"}); err != nil {
		t.Fatal(err)
	}
	listener := listen(t, n.admin, newInbox().handle)
	got, err := listener.Call(ctx, "absent", "echo", nil, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, got, outcome.DeviceOffline, outcome.No)
	_, err = n.admin.Send(ctx, "nobody", "echo", nil, cupline.SendOptions{})
	if !errors.Is(err, cupline.ErrNotFound) || !errors.Is(err, cupline.ErrRefused) {
		t.Errorf("a command for an unknown device: %v", err)
	}
	other := newTenant(t)
	_, err = other.admin.Send(ctx, "absent", "echo", nil, cupline.SendOptions{})
	if !errors.Is(err, cupline.ErrNotFound) || strings.Contains(err.Error(), n.name) {
		t.Errorf("a command for another tenant's device: %v", err)
	}
}

func TestOutcomesWaitInTheMailbox(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	a := n.newAgent(t, linux(5*time.Second), "host")
	const commands = 100 // more than a window
	sent := map[string]bool{}
	for range commands {
		accepted, err := n.admin.Send(bounded(t), a.device, "echo", map[string]int{"n": 1}, cupline.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sent[accepted.CommandID] = true
	}
	// By long poll: the first one may come before the others.
	mailbox, err := n.admin.Mailbox(bounded(t), 20*time.Second, 1)
	if err != nil || len(mailbox.Outcomes) != 1 {
		t.Fatalf("mailbox %+v, %v", mailbox, err)
	}
	first := mailbox.Outcomes[0]
	if !sent[first.CommandID] || first.Source != "mailbox" {
		t.Errorf("mailbox has %+v", first)
	}
	if err := n.admin.AckMailbox(bounded(t), first.CommandID); err != nil {
		t.Fatal(err)
	}
	delete(sent, first.CommandID)
	// The rest by WebSocket, once each.
	in := newInbox()
	listen(t, n.admin, in.handle)
	for range len(sent) {
		o := in.next(t)
		if !sent[o.CommandID] || in.count(o.CommandID) != 1 {
			t.Errorf("outcome %s: not waited for, or twice", o.CommandID)
		}
	}
	eventually(t, "the mailbox is empty", func() bool {
		mailbox, err := n.admin.Mailbox(bounded(t), 0, 10)
		return err == nil && mailbox.Waiting == 0 && len(mailbox.Outcomes) == 0
	})
}
