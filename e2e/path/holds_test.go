package path_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/device"
	"github.com/cupline/cupline/schema/outcome"
)

// held is a tenant with a lane, a dispatcher of it, and a device that counts what it is told.
type held struct {
	tenant
	desk  *cupline.Client // of an operator of the platform
	in    *inbox
	lane  string
	ran   atomic.Int64
	serve string       // the dispatcher's name
	play  http.Handler // the device
}

func (h *held) putDevice(t *testing.T, id, url string) {
	t.Helper()
	if _, err := h.admin.PutDevice(bounded(t), device.Device{ID: id, Type: "web", Address: json.RawMessage(fmt.Sprintf(`{"url":%q}`, url))}); err != nil {
		t.Fatal(err)
	}
}

func newHeld(t *testing.T, lane string) *held {
	t.Helper()
	ctx := bounded(t)
	if _, err := site.CLI(ctx, "lanes", "put", lane); err != nil {
		t.Fatal(err)
	}
	h := &held{tenant: newTenant(t), lane: lane, in: newInbox(), serve: "dispatcher-" + lane}
	h.start(t)
	h.play = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("the device's request: %v", err)
		}
		h.ran.Add(1)
		if request.Method == "hang" {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":true}`, request.ID)
	})
	web := httptest.NewServer(h.play)
	t.Cleanup(web.Close)
	if _, err := h.admin.PutDeviceType(ctx, device.Type{Name: "web", Lane: lane, Driver: "http"}); err != nil {
		t.Fatal(err)
	}
	h.putDevice(t, "lamp", web.URL)
	h.desk = h.client(t, h.makeKey(t, "chief", "ops:read", "ops:write", "ops:platform"), "pusher-0")
	listen(t, h.admin, h.in.handle)
	return h
}

// start runs the lane's dispatcher, until the test ends.
func (h *held) start(t *testing.T) {
	t.Helper()
	if _, err := site.Run(bounded(t), h.serve, services.Dispatcher, map[string]string{
		"CUPLINE_LANES": h.lane, "CUPLINE_ROLES": "work", "CUPLINE_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8",
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Kill(h.serve); err != nil {
			t.Error(err)
		}
	})
}

func (h *held) send(t *testing.T, id string, ttl time.Duration) string {
	t.Helper()
	accepted, err := h.admin.SendRaw(bounded(t), "lamp", []byte(`{"jsonrpc":"2.0","id":"`+id+`","method":"set"}`), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return accepted.CommandID
}

// waiting waits until so many commands are ready in a queue, or more: with what a killed dispatcher had in hand may come what it had
// executed a moment before, and not acked yet.
func (h *held) waiting(t *testing.T, queue string, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d wait in %s", n, queue), func() bool {
		told, err := h.desk.BrokerQueues(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range told.Queues {
			if q.Name == queue {
				return q.Ready >= n
			}
		}
		return false
	})
}

func (h *held) wantResult(t *testing.T, command string) {
	t.Helper()
	if got := h.in.await(t, command); got.Origin != "device" {
		t.Errorf("%s ended as %+v", command, got)
	}
}

// untaken waits until nobody takes from the lane: the dispatcher has heard that it is paused.
func (h *held) untaken(t *testing.T) {
	t.Helper()
	eventually(t, "nobody takes from "+h.lane, func() bool {
		told, err := h.desk.BrokerQueues(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range told.Queues {
			if q.Name == "cupline.work."+h.lane {
				return q.Consumers == 0
			}
		}
		return false
	})
}

// awaitHeld waits until commands are held back: then one that may wait for a second expires, not executed.
func (h *held) awaitHeld(t *testing.T) {
	t.Helper()
	for i, ctx := 0, bounded(t); ; i++ {
		got := h.in.await(t, h.send(t, fmt.Sprintf("probe-%d-%d", h.ran.Load(), i), time.Second))
		if got.Origin == "platform" {
			wantFailure(t, got, outcome.Expired, outcome.No)
			return
		}
		if ctx.Err() != nil {
			t.Fatal("commands are not held back")
		}
	}
}

const long = 10 * time.Minute

var why = cupline.LetterAction{Reason: "the cable is changed", Actor: "ann"}

// A paused lane's commands wait and run after it; a backlog that is drained is told, and not run; a paused device holds up nobody else.
func TestLaneAndDeviceAreHeldBack(t *testing.T) {
	t.Parallel()
	h := newHeld(t, "holds")
	h.wantResult(t, h.send(t, "warm", long))
	ctx := bounded(t)
	if _, err := h.desk.SetLanePaused(ctx, h.lane, true, why); err != nil {
		t.Fatal(err)
	}
	h.untaken(t) // a probe alone might expire because the machine stalls
	h.awaitHeld(t)
	before := h.ran.Load()
	paused := h.send(t, "paused", long)
	h.waiting(t, "cupline.work."+h.lane, 1)
	if h.ran.Load() != before {
		t.Error("it ran while its lane was paused")
	}
	if _, err := h.desk.SetLanePaused(bounded(t), h.lane, false, why); err != nil {
		t.Fatal(err)
	}
	h.wantResult(t, paused)

	if err := site.End(bounded(t), h.serve); err != nil { // killed, it might leave the last one behind: its outcome goes before its ack
		t.Fatal(err)
	}
	stale := h.send(t, "stale", long)
	h.waiting(t, "cupline.work."+h.lane, 1)
	drained, err := h.desk.DrainLane(bounded(t), h.lane, 0, why)
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, h.in.await(t, stale), outcome.Discarded, outcome.No)
	eventually(t, "the drain is done", func() bool {
		d, err := h.desk.DrainState(bounded(t), drained.DrainID)
		if err != nil {
			t.Fatal(err)
		}
		return d.State == "done" && d.Done == 1
	})
	h.start(t)

	if _, err := h.desk.SetDevicePaused(bounded(t), "lamp", true, why); err != nil {
		t.Fatal(err)
	}
	h.awaitHeld(t)
	held := h.send(t, "held", long)
	if _, err := h.desk.SetDevicePaused(bounded(t), "lamp", false, why); err != nil {
		t.Fatal(err)
	}
	h.wantResult(t, held)
}

// Of two operators who act at once one wins, and the other is told so; the device is told once.
func TestTwoOperatorsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHeld(t, "rivals")
	// Nobody listens there at first. The address stays: who has heard of another one, and when, is not for this test.
	reserved, err := ports.Reserve(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reserved.Release() })
	address := ports.Address(reserved.Ports[0])
	h.putDevice(t, "away", "http://"+address)
	accepted, err := h.admin.SendRaw(bounded(t), "away", []byte(`{"jsonrpc":"2.0","id":"late","method":"set"}`), long)
	if err != nil {
		t.Fatal(err)
	}
	died := accepted.CommandID
	wantFailure(t, h.in.await(t, died), outcome.DeviceOffline, outcome.No)
	back := httptest.NewUnstartedServer(h.play)
	_ = back.Listener.Close() // it is to listen elsewhere
	if back.Listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	back.Start()
	t.Cleanup(back.Close)
	var letter cupline.Letter
	for l, err := range h.desk.DeadLetters(bounded(t), cupline.Filter{"command_id": died}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		letter = l
	}
	before := h.ran.Load()
	var won atomic.Int64
	var command atomic.Value
	var operators sync.WaitGroup
	for range 8 {
		operators.Go(func() {
			done, err := h.desk.RedriveDeadLetter(bounded(t), letter.LetterID, cupline.Redrive{LetterAction: why})
			var refused *cupline.Problem
			switch {
			case err == nil:
				won.Add(1)
				command.Store(done.RedrivenAs)
			case !errors.As(err, &refused) || refused.Status != http.StatusConflict || refused.Code != "letter_state":
				t.Errorf("the loser is told %v", err)
			}
		})
	}
	operators.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of them won", won.Load())
	}
	h.wantResult(t, command.Load().(string))
	if n := h.ran.Load() - before; n != 1 {
		t.Errorf("the device was told %d times", n)
	}
}

// A command was started, its message is lost with the broker's data, and its client posts the same id again: the repeat stands
// behind the open row, and nothing answers. Once an operator has settled it, the client is told by the id it knows.
func TestWhatTheBrokerLostIsSettled(t *testing.T) {
	t.Parallel()
	h := newHeld(t, "losses")
	h.wantResult(t, h.send(t, "warm", long))
	ctx := bounded(t)
	owner, err := pgx.Connect(ctx, site.Database.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = owner.Close(context.Background()) }()
	body := []byte(`{"jsonrpc":"2.0","id":"lost","method":"hang"}`)
	post := func() string {
		accepted, err := h.admin.SendRaw(bounded(t), "lamp", body, long)
		if err != nil {
			t.Fatal(err)
		}
		return accepted.CommandID
	}
	ran := h.ran.Load()
	lost := post()
	eventually(t, "it is started", func() bool { return h.ran.Load() == ran+1 })
	if err := site.Kill(h.serve); err != nil {
		t.Fatal(err)
	}
	queue := "cupline.work." + h.lane
	h.waiting(t, queue, 1)
	purge(t, queue)
	// As old as an operator may settle.
	if _, err := owner.Exec(ctx, `update ledger set started_at = started_at - interval '2 hours' where command_id = $1 and outcome is null`, lost); err != nil {
		t.Fatal(err)
	}
	h.start(t)
	again := post()
	eventually(t, "the repeat was taken", func() bool {
		return metric(t, h.serve, `cupline_commands_ended_total{lane="`+h.lane+`",outcome="repeated"}`) == "1"
	})
	var open []string
	for o, err := range h.desk.OpenCommands(bounded(t), nil, 0) {
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, o.CommandID)
	}
	if len(open) != 1 || open[0] != lost || h.in.count(again) != 0 || h.ran.Load() != ran+1 {
		t.Fatalf("open are %v, the repeat had %d outcomes, and %d ran", open, h.in.count(again), h.ran.Load()-ran)
	}
	if _, err := h.desk.SettleOpenCommand(bounded(t), lost, why); err != nil {
		t.Fatal(err)
	}
	told := h.in.await(t, lost)
	wantFailure(t, told, outcome.WorkerLost, outcome.Maybe)
	if string(told.ID) != `"lost"` {
		t.Errorf("it is told about %s", told.ID)
	}
}

// metric of a service; empty while there is none.
func metric(t *testing.T, service, name string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, "http://"+site.Service(service).Internal+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if value, is := strings.CutPrefix(line, name+" "); is {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// purge deletes what is in a queue, as an administrator of the broker might.
func purge(t *testing.T, queue string) {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodDelete, site.Broker.ManagementURL()+"/api/queues/%2F/"+queue+"/contents", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		t.Fatalf("purge %s: %s", queue, answer.Status)
	}
}
