package livetest

import (
	"context"
	"testing"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/topology"
)

func TestDoctorFindsQueuesThatNobodyTakesFrom(t *testing.T) {
	t.Parallel()
	s, b := installed(t)
	for queue, state := range map[string]string{topology.WorkQueue("default"): "warning", topology.DeadQueue: "problem", topology.MailboxQueue: "problem"} {
		if d := s.doctor(t); !d.says("consumers", state, queue+": nobody") {
			t.Errorf("with nobody on %s doctor says %+v", queue, d.Findings)
		}
	}
	link := broker.NewLink(broker.Config{URL: b.URL(), Name: "takers"})
	for _, queue := range []string{topology.WorkQueue("default"), topology.DeadQueue, topology.MailboxQueue} {
		broker.NewConsumer(link, broker.ConsumerConfig{Queue: queue, Handle: func(_ context.Context, d *broker.Delivery) { d.Ack() }})
	}
	brokertest.Start(t, link)
	s.until(t, "consumers", "ok", "")
}

func TestDoctorFindsSlotsWithoutPusher(t *testing.T) {
	t.Parallel()
	s, b := installed(t)
	b.Declare(t, topology.Push("p-7"))
	if d := s.doctor(t); !d.says("slots", "warning", "p-7: has no pusher") {
		t.Errorf("of a slot that nobody holds doctor says %+v", d.Findings)
	}
	b.Do(t, "lock the slot", func(ctx context.Context, session *broker.Session) error {
		return session.Lock(ctx, topology.Lock("p-7"))
	})
	s.until(t, "slots", "ok", "")
}
