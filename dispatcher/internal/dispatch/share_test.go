package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

// full has a device of acme hang until its timeout, and the others answer at once.
func full(r *rig) {
	r.device.execute = func(ctx context.Context, c *Call) (jsonrpc.Response, error) {
		if c.Tenant == "acme" {
			<-ctx.Done()
			return jsonrpc.Response{}, &Failure{Reason: outcome.NoAnswer}
		}
		return jsonrpc.ParseResponse(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%q,"result":1}`, c.ID))
	}
}

func of(tenant string, timeout time.Duration) func(*envelope.Command) {
	return func(c *envelope.Command) { c.Tenant, c.Timeout = tenant, timeout }
}

// TestATenantWhoseDevicesHangLeavesRoomForOthers is P7 with the limits as they are by default: of 16 slots one tenant's hanging
// devices take 8, and another's commands are executed at once meanwhile.
func TestATenantWhoseDevicesHangLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Concurrency, c.TenantLimit, c.DeviceLimit = 16, 0, 16 })
		full(r)
		r.run(t, command(t, "", of("other", time.Second))) // it uses the lane, too
		var stuck sync.WaitGroup
		var busy atomic.Int32
		for i := range 40 {
			stuck.Go(func() {
				v := r.run(t, command(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"m"}`, i), of("acme", 10*time.Second)))
				if v.Letter.Reason == outcome.DeviceBusy {
					busy.Add(1)
				}
			})
		}
		synctest.Wait()
		if got := r.engine.Held(); got != 32 {
			t.Errorf("%d wait for room, want 32", got)
		}
		for i := range 20 {
			began := time.Now()
			v := r.run(t, command(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"m"}`, 100+i), of("other", time.Second)))
			if v.Outcome == nil || time.Since(began) > 0 {
				t.Errorf("the other tenant's came to %+v after %s", v, time.Since(began))
			}
			sleep(t.Context(), 100*time.Millisecond) // in the test's own time
		}
		if busy.Load() != 32 || r.engine.Held() != 0 {
			t.Errorf("%d were refused and %d wait, want 32 and 0", busy.Load(), r.engine.Held())
		}
		stuck.Wait()
	})
}

func TestATenantAloneGetsEverySlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Concurrency, c.TenantLimit, c.DeviceLimit = 4, 0, 16 })
		full(r)
		r.run(t, command(t, "", of("other", time.Second)))
		sleep(t.Context(), neighbourFor) // in the test's own time
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				v := r.run(t, command(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"m"}`, i), of("acme", time.Second/2)))
				if v.Letter.Reason != outcome.NoAnswer {
					t.Errorf("refused: %+v", v.Letter)
				}
			})
		}
		synctest.Wait()
		if r.device.times() != 5 || r.engine.Held() != 4 {
			t.Errorf("%d run and %d wait for room, want 4 and 4", r.device.times()-1, r.engine.Held())
		}
		all.Wait()
	})
}

func TestRoomGoesToWhoHasWaitedLongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShares(8, 1)
		enter := func() bool {
			ok, err := s.enter(t.Context(), "acme", func() {})
			return ok && err == nil
		}
		if !enter() {
			t.Fatal("the first finds no room")
		}
		var order []int
		var mu sync.Mutex
		var waiting sync.WaitGroup
		for i := range 3 {
			waiting.Go(func() {
				if !enter() {
					t.Errorf("%d found no room", i)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		for range 3 {
			s.leave("acme")
			synctest.Wait()
		}
		waiting.Wait()
		if fmt.Sprint(order) != "[0 1 2]" {
			t.Errorf("they came in the order %v", order)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if ok, err := s.enter(ctx, "acme", func() {}); ok || !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %t, %v", ok, err)
		}
		s.leave("acme")
		if len(s.tenants) != 0 {
			t.Errorf("something is left: %v", s.tenants)
		}
	})
}
