package path_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
	"github.com/cupline/cupline/local/services"
)

// restartsVariable asks for the long form: how many restarts at least, 20 unless told.
const restartsVariable = "CUPLINE_TEST_RESTARTS"

func restarts(t *testing.T) int {
	t.Helper()
	text := os.Getenv(restartsVariable)
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q: must be a number of restarts", restartsVariable, text)
	}
	return n
}

// TestEveryServiceIsRestartedUnderLoad stops and starts each service in order while
// commands flow; nothing may be lost, doubled, or executed twice.
func TestEveryServiceIsRestartedUnderLoad(t *testing.T) {
	n := newTenant(t)
	a := n.newAgent(t, linux(10*time.Second), "host")
	in := newInbox()
	listen(t, n.client(t, n.key, "pusher-0"), in.handle)
	load := startLoad(t, n, a)
	all := []struct{ name, program string }{
		{"dispatcher-0", services.Dispatcher}, {"dispatcher-1", services.Dispatcher},
		{"pusher-0", services.Pusher}, {"api", services.API},
	}
	wanted := restarts(t)
	for i := range wanted {
		s := all[i%len(all)]
		if err := site.End(bounded(t), s.name); err != nil {
			t.Fatal(err)
		}
		if err := start(bounded(t), s.name, s.program); err != nil {
			t.Fatal(err)
		}
	}
	accepted, doubtful := load.stop()
	if len(accepted) < wanted {
		t.Errorf("only %d commands were accepted", len(accepted))
	}
	for _, id := range accepted {
		if got := in.await(t, id); got.Origin != "device" {
			t.Errorf("command %s ended as %s", id, got.Response)
		}
		if in.count(id) != 1 || a.executions(t)[id] != 1 {
			t.Errorf("command %s: %d outcomes, %d executions", id, in.count(id), a.executions(t)[id])
		}
	}
	t.Logf("%d restarts: %d accepted, %d in doubt", wanted, len(accepted), doubtful)
}

// load sends one command after the other until it is stopped.
type load struct {
	cancel   context.CancelFunc
	ended    sync.WaitGroup
	accepted []string
	doubtful int
}

func startLoad(t *testing.T, n tenant, a agent) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel}
	pace := time.NewTicker(10 * time.Millisecond)
	l.ended.Go(func() {
		defer pace.Stop()
		for {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
			// Not under ctx: a request cut off by the test itself would be in doubt.
			accepted, err := n.admin.Send(context.WithoutCancel(ctx), a.device, "relay.set", map[string]bool{"on": true}, cupline.SendOptions{})
			switch {
			case err == nil:
				l.accepted = append(l.accepted, accepted.CommandID)
			case errors.Is(err, cupline.ErrInDoubt):
				l.doubtful++
			}
		}
	})
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *load) stop() (accepted []string, doubtful int) {
	l.cancel()
	l.ended.Wait()
	return l.accepted, l.doubtful
}
