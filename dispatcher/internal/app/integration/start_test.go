package integration

import (
	"context"
	"strings"
	"testing"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/dispatcher/internal/dispatchtest"
	"github.com/cupline/cupline/schema/topology"
)

// TestStartBeforeEverythingElse has neither broker nor database at first: the process
// says what is missing, and works as soon as it is there.
func TestStartBeforeEverythingElse(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	p.put(t, "nothing", "noop", "")
	c := p.post(t, dispatchtest.SetRelay, "noop", "nothing")
	d := p.process(t)
	d.broker.Refuse()
	d.tables.Refuse()
	p.run(t, d)
	brokertest.Eventually(t, "readiness says what is missing", func() bool {
		missing := d.get("/readyz")
		return strings.Contains(missing, `"postgres":`) && strings.Contains(missing, `"broker (publish)":`)
	})
	d.broker.Heal()
	brokertest.Eventually(t, "only the database is missing", func() bool {
		missing := d.get("/readyz")
		return !strings.Contains(missing, `"broker (publish)":`) && strings.Contains(missing, "database's clock")
	})
	d.tables.Heal()
	says(t, p.outcome(t), c, `"result"`)
	brokertest.Eventually(t, "it is ready", func() bool { return d.get("/readyz") == "" })
}

// TestLaneThatIsNotConfiguredYet is said, and taken up when an operator has made it.
func TestLaneThatIsNotConfiguredYet(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	d := p.launch(t, "CUPLINE_LANES=default,slow")
	brokertest.Eventually(t, "readiness names the lane", func() bool { return strings.Contains(d.get("/readyz"), "lane slow") })
	lane := topology.DefaultLane()
	lane.Name = "slow"
	if _, err := p.registry.PutLane(t.Context(), lane); err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "it is ready", func() bool { return d.get("/readyz") == "" })
	// It is ready when it could consume; that it does is a step of its own.
	brokertest.Eventually(t, "the lane is consumed", func() bool { return p.broker.Consumers(t, topology.WorkQueue("slow")) == 1 })
}

// TestQueueWithOtherArgumentsIsUsedAndReported: only an operator changes what is there.
func TestQueueWithOtherArgumentsIsUsedAndReported(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	p.put(t, "nothing", "noop", "")
	changed := topology.Dead()
	changed.Queues[0].Arguments["x-delivery-limit"] = int64(topology.KeepDeliveryLimit - 1)
	p.broker.Do(t, "make the dead letters' queue anew", func(ctx context.Context, s *broker.Session) error {
		return s.DeleteQueue(ctx, topology.DeadQueue, true, true)
	})
	p.broker.Declare(t, changed)
	d := p.start(t)
	if n := d.metric("cupline_topology_drift", `link="consume"`); n != 1 {
		t.Errorf("%v things drifted", n)
	}
	c := p.post(t, dispatchtest.SetRelay, "noop", "nothing")
	says(t, p.outcome(t), c, `"result"`)
}
