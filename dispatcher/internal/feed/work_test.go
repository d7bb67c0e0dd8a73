package feed_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
)

func TestOutcomeIsPublishedAndTheCommandAcknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) { return answered(c), nil })
	c := command(setRelay)
	r.publish(t, c)
	m := r.broker.Get(t, mailbox)
	got, err := envelope.ParseOutcome(&m)
	if err != nil || got.CommandID != c.ID || got.Client != "app" || got.Origin != envelope.OriginDevice {
		t.Errorf("the outcome is %+v, %v", got, err)
	}
	stop(t, r, nil)
	r.broker.Empty(t, workQueue)
}

// stop stops the feed in good order, then its link, as a process does.
func stop(t *testing.T, r *rig, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := r.work.Stop(ctx); (err == nil) != (want == nil) {
		t.Errorf("stop: %v", err)
	}
	if err := r.consuming.Stop(ctx); err != nil {
		t.Errorf("stop the link: %v", err)
	}
}

func TestLetterCarriesTheWholeMessage(t *testing.T) {
	t.Parallel()
	claim := uuid.New()
	r := newRig(t, func(context.Context, context.Context, *dispatch.Command) (dispatch.Verdict, error) {
		return dispatch.Verdict{Letter: &envelope.Verdict{Reason: outcome.NoAnswer, Claim: claim, Detail: "silence"}}, nil
	})
	c := command(setRelay)
	r.publish(t, c)
	m := r.broker.Get(t, deadQueue)
	letter := envelope.ParseLetter(&m)
	if letter.Malformed != nil || letter.Reason != outcome.NoAnswer || letter.Claim != claim || letter.Detail != "silence" ||
		letter.Command.ID != c.ID || string(letter.Command.Body) != setRelay {
		t.Errorf("the letter is %+v", letter)
	}
	stop(t, r, nil)
	r.broker.Empty(t, workQueue)
}

func TestGarbageGoesToTheRecorderAndTheRestFlowsOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) { return answered(c), nil })
	good := command(setRelay)
	whole := good.Message(time.Now())
	straight := func(change func(*message.Message)) message.Message {
		m := whole
		m.Exchange, m.Key = "", workQueue // past the exchange, straight into the queue
		change(&m)
		return m
	}
	otherLane := good
	otherLane.Lane = "slow"
	notJSON, noVersion := whole, whole
	notJSON.Body = []byte("{")
	noVersion.Headers = nil
	for name, m := range map[string]message.Message{
		"bytes":         straight(func(m *message.Message) { *m = message.Message{Key: workQueue, Body: []byte{0xff, 0}} }),
		"no key":        straight(func(*message.Message) {}),
		"not JSON":      notJSON,
		"no headers":    noVersion,
		"an odd header": straight(func(m *message.Message) { m.Headers = map[string]any{"list": []any{int8(1), []byte("x")}} }),
	} {
		r.broker.Publish(t, m)
		got := r.broker.Get(t, deadQueue)
		letter := envelope.ParseLetter(&got)
		if letter.Reason != outcome.Undeliverable || letter.Detail == "" || string(got.Body) != string(m.Body) || got.Key != m.Key {
			t.Errorf("%s became %+v", name, got)
		}
	}
	r.publish(t, good)
	r.broker.Get(t, mailbox)
	stop(t, r, nil)
	r.broker.Empty(t, workQueue)
}

// TestRunningCommandsOutliveTheirLink is the heart of it: all slots busy, the link cut, and
// nothing runs twice; the redeliveries are what is acknowledged.
func TestRunningCommandsOutliveTheirLink(t *testing.T) {
	t.Parallel()
	const n = 8
	started, proceed := make(chan uuid.UUID, 10*n), make(chan struct{})
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) {
		started <- c.ID
		<-proceed
		return answered(c), nil
	})
	commands := make([]envelope.Command, n)
	for i := range commands {
		commands[i] = command(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"m"}`, i))
		r.publish(t, commands[i])
	}
	for range n {
		await(t, "a command starts", started)
	}
	for cut := range 2 {
		reconnected(t, r.consuming, r.consumes.Cut)
		reconnected(t, r.publishing, r.publishes.Cut)
		// After each cut: one that ended before it came again would run anew when it does.
		want := float64((cut + 1) * n)
		brokertest.Eventually(t, "every command is adopted", func() bool { return r.count(t, "cupline_adopted_total") >= want })
	}
	close(proceed)
	seen := map[string]int{}
	for _, m := range r.broker.GetSome(t, mailbox, n) {
		seen[m.ID]++
	}
	stop(t, r, nil)
	r.broker.Empty(t, workQueue)
	r.broker.Empty(t, mailbox)
	for _, c := range commands {
		if r.engine.ran(c.ID) != 1 || seen[c.ID.String()] != 1 {
			t.Errorf("%s ran %d times, with %d outcomes", c.ID, r.engine.ran(c.ID), seen[c.ID.String()])
		}
	}
}

// TestWhatHasNotStartedIsGivenUpWithItsDelivery: somebody else has it now.
func TestWhatHasNotStartedIsGivenUpWithItsDelivery(t *testing.T) {
	t.Parallel()
	waits := make(chan struct{}, 10)
	first := make(chan error, 1)
	r := newRig(t, func(_, waiting context.Context, c *dispatch.Command) (dispatch.Verdict, error) {
		waits <- struct{}{}
		if len(first) == 0 {
			<-waiting.Done()
			first <- context.Cause(waiting)
			return dispatch.Verdict{}, dispatch.ErrNotStarted
		}
		return answered(c), nil
	})
	c := command(setRelay)
	r.publish(t, c)
	await(t, "it waits", waits)
	r.consumes.Cut()
	r.broker.Get(t, mailbox)
	if r.engine.ran(c.ID) != 2 {
		t.Errorf("it was tried %d times, want once with each delivery", r.engine.ran(c.ID))
	}
}

// TestTwoCopiesOfOneCommand have one flight, as after a redrive that was published again.
func TestTwoCopiesOfOneCommand(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) {
		<-proceed
		return answered(c), nil
	})
	c, other := command(setRelay), command(setRelay)
	other.ID, other.Device = c.ID, "lamp-2" // garbage that borrows the id is a flight of its own
	for _, m := range []envelope.Command{c, c, other} {
		r.publish(t, m)
	}
	brokertest.Eventually(t, "the copy is adopted", func() bool {
		return r.count(t, "cupline_adopted_total") == 1 && r.count(t, "cupline_in_flight") == 2
	})
	close(proceed)
	r.broker.GetSome(t, mailbox, 2)
	stop(t, r, nil)
	r.broker.Empty(t, workQueue)
	r.broker.Empty(t, mailbox)
}

// TestStopFinishesHandsBackAndGivesUp has one command that ends in time, one that has not
// started, and one that does not end.
func TestStopFinishesHandsBackAndGivesUp(t *testing.T) {
	t.Parallel()
	running := make(chan string, 3)
	proceed := make(chan struct{})
	r := newRig(t, func(ctx, waiting context.Context, c *dispatch.Command) (dispatch.Verdict, error) {
		running <- c.Request.Method
		switch c.Request.Method {
		case "ends":
			<-proceed
			return answered(c), nil
		case "waits":
			<-waiting.Done()
			return dispatch.Verdict{}, dispatch.ErrNotStarted
		}
		<-ctx.Done()
		return dispatch.Verdict{}, dispatch.ErrInterrupted
	})
	ends := command(`{"jsonrpc":"2.0","id":1,"method":"ends"}`)
	r.publish(t, ends)
	r.publish(t, command(`{"jsonrpc":"2.0","id":2,"method":"waits"}`))
	r.publish(t, command(`{"jsonrpc":"2.0","id":3,"method":"hangs"}`))
	for range 3 {
		await(t, "all three run", running)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- r.work.Stop(ctx) }()
	brokertest.Eventually(t, "the one that has not started is back", func() bool { return r.broker.Depth(t, workQueue) == 1 })
	close(proceed)
	if m := r.broker.Get(t, mailbox); m.ID != ends.ID.String() {
		t.Errorf("the outcome is of %s", m.ID)
	}
	cancel()
	if err := await(t, "stop returns", stopped); err == nil {
		t.Error("stop hides that a command was given up")
	}
	if err := r.consuming.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "the one that hangs is back", func() bool { return r.broker.Depth(t, workQueue) == 2 })
	r.broker.Empty(t, mailbox)
	r.broker.Empty(t, deadQueue)
}

// TestOutcomeWaitsForTheBroker has the link away when the command ends.
func TestOutcomeWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	started := make(chan struct{})
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) {
		close(started)
		<-proceed
		return answered(c), nil
	})
	c := command(setRelay)
	r.publish(t, c)
	await(t, "it starts", started)
	r.publishes.Refuse()
	brokertest.Eventually(t, "the link is down", func() bool { return r.publishing.Ready() != nil })
	close(proceed)
	brokertest.Eventually(t, "it tried", func() bool { return r.count(t, "cupline_publish_retries_total") > 0 })
	if r.count(t, "cupline_in_flight") != 1 {
		t.Error("the command was let go without its outcome")
	}
	r.publishes.Heal()
	if m := r.broker.Get(t, mailbox); m.ID != c.ID.String() {
		t.Errorf("the outcome is of %s", m.ID)
	}
	stop(t, r, nil)
	r.broker.Empty(t, workQueue)
}

// TestWayThatWasDeletedIsDeclaredAgain takes the mailbox away while the link is up.
func TestWayThatWasDeletedIsDeclaredAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) { return answered(c), nil })
	r.broker.Do(t, "delete the mailbox", func(ctx context.Context, s *broker.Session) error {
		return s.DeleteQueue(ctx, mailbox, false, false)
	})
	r.publish(t, command(setRelay))
	brokertest.Eventually(t, "the mailbox is there again", func() bool { return r.broker.QueueExists(t, mailbox) })
	r.broker.Get(t, mailbox)
}

// TestHeldCommandsDoNotStopTheLane watches the second consumer come and go.
func TestHeldCommandsDoNotStopTheLane(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) {
		if c.Request.Method == "held" {
			<-release
		}
		return answered(c), nil
	})
	for i := range 8 { // the whole prefetch
		r.publish(t, command(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"held"}`, i)))
	}
	brokertest.Eventually(t, "the prefetch is used up", func() bool { return r.count(t, "cupline_in_flight") == 8 })
	r.engine.hold(1)
	if n := r.broker.Consumers(t, workQueue); n != 1 {
		t.Errorf("%d consumers for one held command", n)
	}
	r.engine.hold(8)
	brokertest.Eventually(t, "the second consumer is there", func() bool { return r.broker.Consumers(t, workQueue) == 2 })
	other := command(`{"jsonrpc":"2.0","id":"other","method":"m"}`)
	r.publish(t, other)
	if m := r.broker.Get(t, mailbox); m.ID != other.ID.String() {
		t.Errorf("the outcome is of %s", m.ID)
	}
	close(release)
	r.engine.hold(0)
	brokertest.Eventually(t, "the second consumer is gone", func() bool { return r.broker.Consumers(t, workQueue) == 1 })
	r.broker.GetSome(t, mailbox, 8)
	stop(t, r, nil)
	r.broker.Empty(t, workQueue)
}
