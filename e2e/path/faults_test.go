package path_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/schema/outcome"
)

// The tests of this file stop parts of the site. None of them runs in parallel.

func TestDispatchersAreKilledMidCommand(t *testing.T) {
	n := newTenant(t)
	careful, careless := n.newAgent(t, linux(20*time.Second), "careful"), n.newAgent(t, harmless(20*time.Second), "careless")
	in := newInbox()
	listen(t, n.admin, in.handle)
	begin := func(a agent) string {
		// Long enough for all dispatchers to die meanwhile, and well within the timeout.
		accepted, err := n.admin.Send(bounded(t), a.device, "test.late", map[string]int{"seconds": 10}, cupline.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a.awaitExecution(t, accepted.CommandID)
		return accepted.CommandID
	}
	once, again := begin(careful), begin(careless)
	both := []string{"dispatcher-0", "dispatcher-1"}
	for _, name := range both {
		if err := site.Kill(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range both {
		if err := start(bounded(t), name, services.Dispatcher); err != nil {
			t.Fatal(err)
		}
	}
	wantFailure(t, in.await(t, once), outcome.WorkerLost, outcome.Maybe)
	if got := in.await(t, again); got.Origin != "device" {
		t.Errorf("the idempotent command ended as %s", got.Response)
	}
	if ran := careful.executions(t)[once]; ran != 1 {
		t.Errorf("executed %d times where once was allowed", ran)
	}
	if ran := careless.executions(t)[again]; ran != 2 {
		t.Errorf("executed %d times where again was allowed: want the first time and the second", ran)
	}
	if in.count(once) != 1 || in.count(again) != 1 {
		t.Errorf("outcomes: %d and %d, want one each", in.count(once), in.count(again))
	}
}

func TestADeviceRebootsBeforeItAnswers(t *testing.T) {
	n := newTenant(t)
	a := n.newAgent(t, linux(10*time.Second), "host")
	in := newInbox()
	listen(t, n.admin, in.handle)
	// Long enough for the agent to die meanwhile, and within the timeout.
	accepted, err := n.admin.Send(bounded(t), a.device, "test.late", map[string]int{"seconds": 8}, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a.awaitExecution(t, accepted.CommandID)
	if err := site.Kill(a.process()); err != nil {
		t.Fatal(err)
	}
	a.start(t)
	wantFailure(t, in.await(t, accepted.CommandID), outcome.NoAnswer, outcome.Maybe)
	if ran := a.executions(t)[accepted.CommandID]; ran != 1 {
		t.Errorf("executed %d times", ran)
	}
}

func TestAPusherIsKilledWithUnackedOutcomes(t *testing.T) {
	n := newTenant(t)
	a := n.newAgent(t, linux(5*time.Second), "host")
	stuck := make(chan cupline.Outcome, 100)
	first, err := n.client(t, n.key, "pusher-0").Listen(cupline.ListenConfig{
		// Takes outcomes and never acks them.
		Handle: func(ctx context.Context, o cupline.Outcome) error {
			stuck <- o
			<-ctx.Done()
			return context.Cause(ctx)
		},
		MinWait: time.Hour, MaxWait: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := first.WaitOnline(bounded(t)); err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	for range 10 {
		accepted, err := n.admin.Send(bounded(t), a.device, "relay.set", map[string]bool{"on": true}, cupline.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sent[accepted.CommandID] = true
	}
	select {
	case <-stuck:
	case <-bounded(t).Done():
		t.Fatal("nothing was pushed")
	}
	if err := site.Kill("pusher-0"); err != nil {
		t.Fatal(err)
	}
	in := newInbox()
	listen(t, n.client(t, n.key, "pusher-1"), in.handle)
	for id := range sent {
		in.await(t, id)
		if in.count(id) != 1 || a.executions(t)[id] != 1 {
			t.Errorf("command %s: %d outcomes, %d executions", id, in.count(id), a.executions(t)[id])
		}
	}
	if err := start(bounded(t), "pusher-0", services.Pusher); err != nil {
		t.Fatal(err)
	}
}

func TestAnAPIThatLosesItsBrokerSaysSo(t *testing.T) {
	n := newTenant(t)
	a := n.newAgent(t, linux(5*time.Second), "host")
	in := newInbox()
	listen(t, n.admin, in.handle)
	before, err := n.admin.Send(bounded(t), a.device, "echo", nil, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in.await(t, before.CommandID)
	if err := site.Broker.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = n.admin.Send(bounded(t), a.device, "echo", nil, cupline.SendOptions{})
	var problem *cupline.Problem
	if !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable || !errors.Is(err, cupline.ErrRefused) {
		t.Errorf("a POST without a broker: %v", err)
	}
	// At once, that is: without waiting for CUPLINE_PUBLISH_TIMEOUT, which is 5 s. The rest is for a busy machine.
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	if err := site.Broker.Start(starting(t)); err != nil {
		t.Fatal(err)
	}
	// All recover by themselves, and the client's listener is bound anew.
	for _, name := range []string{"api", "dispatcher-0", "dispatcher-1", "pusher-0", "pusher-1", a.process()} {
		if err := site.Service(name).WaitReady(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	after, err := n.admin.Send(bounded(t), a.device, "echo", nil, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := in.await(t, after.CommandID); got.Origin != "device" {
		t.Errorf("after the broker is back: %s", got.Response)
	}
}

func TestPostgresIsAwayForAWhile(t *testing.T) {
	n := newTenant(t)
	a := n.newAgent(t, linux(5*time.Second), "host")
	in := newInbox()
	listen(t, n.admin, in.handle)
	warm, err := n.admin.Send(bounded(t), a.device, "echo", nil, cupline.SendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in.await(t, warm.CommandID)
	if err := site.Database.Stop(bounded(t)); err != nil {
		t.Fatal(err)
	}
	// What needs no database goes on: a command is accepted.
	accepted, sendErr := n.admin.Send(bounded(t), a.device, "relay.set", map[string]bool{"on": true}, cupline.SendOptions{})
	if err := site.Database.Start(starting(t)); err != nil {
		t.Fatal(err)
	}
	if sendErr != nil {
		t.Fatalf("a POST without a database: %v", sendErr)
	}
	if got := in.await(t, accepted.CommandID); got.Origin != "device" {
		t.Errorf("it ended as %s", got.Response)
	}
	if ran := a.executions(t)[accepted.CommandID]; ran != 1 {
		t.Errorf("executed %d times", ran)
	}
	for _, name := range []string{"api", "dispatcher-0", "dispatcher-1", "pusher-0", "pusher-1"} {
		if err := site.Service(name).WaitReady(bounded(t)); err != nil {
			t.Error(err)
		}
	}
}

func TestTwoPushersOnOneSlot(t *testing.T) {
	second := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		// Ready only once it holds the slot.
		_, err := site.Run(ctx, "pusher-again", services.Pusher, map[string]string{"CUPLINE_SLOT": "pusher-1"})
		second <- err
	}()
	eventually(t, "the second pusher runs", func() bool { return site.Service("pusher-again") != nil })
	select {
	case err := <-second:
		t.Fatalf("the second pusher on a held slot is ready, or ended: %v", err)
	case <-time.After(2 * time.Second): // nothing signals that something does not happen
	}
	if err := site.End(ctx, "pusher-1"); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Fatalf("the second pusher, with the slot free: %v", err)
	}
	if err := site.End(ctx, "pusher-again"); err != nil {
		t.Fatal(err)
	}
	if err := start(ctx, "pusher-1", services.Pusher); err != nil {
		t.Fatal(err)
	}
}
