package feed_test

import (
	"context"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/dispatcher/internal/dispatch"
	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

// A lane that is paused keeps its commands in the queue, across reconnects, until it goes on.
func TestPausedLaneTakesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) { return answered(c), nil })
	r.publish(t, command(setRelay))
	r.broker.Get(t, mailbox)
	r.gate.set(true)
	brokertest.Eventually(t, "nobody consumes", func() bool { return r.broker.Consumers(t, workQueue) == 0 })
	c := command(setRelay)
	r.publish(t, c)
	reconnected(t, r.consuming, r.consumes.Cut)
	if n, runs := r.broker.Depth(t, workQueue), r.engine.ran(c.ID); n != 1 || runs != 0 {
		t.Errorf("%d in the queue, ran %d times", n, runs)
	}
	r.gate.set(false)
	if m := r.broker.Get(t, mailbox); m.ID != c.ID.String() {
		t.Errorf("the outcome is of %s", m.ID)
	}
}

// While a lane is paused, held commands open no second way in.
func TestPausedLaneHasNoOverflow(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) { return answered(c), nil })
	brokertest.Eventually(t, "the lane is consumed", func() bool { return r.broker.Consumers(t, workQueue) == 1 })
	r.engine.hold(8)
	brokertest.Eventually(t, "by two", func() bool { return r.broker.Consumers(t, workQueue) == 2 })
	r.gate.set(true)
	brokertest.Eventually(t, "by none", func() bool { return r.broker.Consumers(t, workQueue) == 0 })
	r.engine.hold(9)
	r.gate.set(true)
	c := command(setRelay)
	r.publish(t, c)
	if n := r.broker.Consumers(t, workQueue); n != 0 || r.engine.ran(c.ID) != 0 {
		t.Errorf("%d consume", n)
	}
}

// A parked command leaves its slot, comes back, and runs once it may; nothing of where it was stays on it.
func TestParkedCommandComesBack(t *testing.T) {
	t.Parallel()
	back := make(chan *dispatch.Command, 8)
	r := newRig(t, func(_, _ context.Context, c *dispatch.Command) (dispatch.Verdict, error) {
		back <- c
		if len(back) < 3 {
			return dispatch.Verdict{Park: true}, nil
		}
		return answered(c), nil
	})
	// Until then it would wait in the queue, and its deadline is near.
	brokertest.Eventually(t, "the lane is consumed", func() bool { return r.broker.Consumers(t, workQueue) == 1 })
	c := command(setRelay)
	// So that it comes back at once: no later than its deadline.
	c.Deadline = time.Now().Add(200 * time.Millisecond)
	r.publish(t, c)
	if m := r.broker.Get(t, mailbox); m.ID != c.ID.String() {
		t.Errorf("the outcome is of %s", m.ID)
	}
	if n := r.engine.ran(c.ID); n != 3 {
		t.Errorf("taken %d times", n)
	}
	for range 3 {
		if got := await(t, "each time", back); got.Redelivered || got.Lane != c.Lane || !got.Deadline.Equal(c.Deadline.UTC().Truncate(time.Millisecond)) {
			t.Errorf("came as %+v", got)
		}
	}
	brokertest.Eventually(t, "nothing is left", func() bool { return r.broker.Depth(t, workQueue)+r.broker.Depth(t, topology.ParkedQueue) == 0 })
	// What comes back may be quicker than what is counted.
	brokertest.Eventually(t, "two are counted as parked", func() bool { return r.count(t, "cupline_parked_total") == 2 })
}

// Where too many commands wait for paused devices, one more ends, and says why.
func TestParkedQueueIsBounded(t *testing.T) {
	t.Parallel()
	full := topology.Parked()
	full.Queues[0].Arguments["x-max-length"] = int64(1)
	full.Queues[0].Arguments["x-message-ttl"] = time.Hour.Milliseconds()
	r := prepareOn(t, topology.Merge(full, topology.Whole(topology.DefaultLane())))
	r.start(t, func(_, _ context.Context, _ *dispatch.Command) (dispatch.Verdict, error) {
		return dispatch.Verdict{Park: true}, nil
	})
	// A quorum queue takes one or two past its length.
	for {
		c := command(setRelay)
		r.publish(t, c)
		brokertest.Eventually(t, "it is taken", func() bool { return r.broker.Depth(t, workQueue) == 0 && r.engine.ran(c.ID) > 0 })
		if r.broker.Depth(t, deadQueue) > 0 {
			break
		}
	}
	m := r.broker.Get(t, deadQueue)
	if l := envelope.ParseLetter(&m); l.Reason != outcome.DeviceBusy {
		t.Errorf("letter %+v", l)
	}
}
