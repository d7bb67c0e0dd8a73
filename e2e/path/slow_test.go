package path_test

import (
	"context"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
)

func TestAClientThatStopsAckingHoldsUpNobody(t *testing.T) {
	t.Parallel()
	n := newTenant(t)
	a := n.newAgent(t, linux(5*time.Second), "host")
	other := n.client(t, n.makeKey(t, "other"), "pusher-0")
	quick := listen(t, other, newInbox().handle)

	released, in := make(chan struct{}), newInbox()
	slow := listen(t, n.admin, func(ctx context.Context, o cupline.Outcome) error {
		select {
		case <-released:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return in.handle(ctx, o)
	})
	sent := map[string]bool{}
	const commands = 200 // three windows
	for range commands {
		accepted, err := n.admin.Send(bounded(t), a.device, "echo", nil, cupline.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sent[accepted.CommandID] = true
	}
	lagging(t, slow)
	for range 20 {
		if got, err := quick.Call(bounded(t), a.device, "echo", nil, cupline.SendOptions{}); err != nil || got.Origin != "device" {
			t.Fatalf("the other client's command: %+v, %v", got, err)
		}
	}
	if mailbox, err := n.admin.Mailbox(bounded(t), 0, 1); err != nil || mailbox.Waiting == 0 {
		t.Errorf("the slow client's mailbox: %+v, %v", mailbox, err)
	}
	close(released)
	for id := range sent {
		in.await(t, id)
		if in.count(id) != 1 {
			t.Errorf("command %s: %d outcomes", id, in.count(id))
		}
	}
}

// lagging waits until the platform has told the client that its outcomes go to the mailbox first.
func lagging(t *testing.T, l *cupline.Listener) {
	t.Helper()
	for ctx := bounded(t); ; {
		changed := l.Changed()
		if l.Status().State == cupline.Lagging {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the listener is %s", l.Status().State)
		}
	}
}
