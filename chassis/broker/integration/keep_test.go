package integration

import (
	"context"
	"testing"
	"time"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/chassis/brokertest"
	"github.com/cupline/cupline/schema/topology"
)

func TestWhatIsTakenAwayComesBack(t *testing.T) {
	t.Parallel()
	b := brokertest.New(t)
	link := b.Link(t, "owner")
	link.OnUp("declare", func(ctx context.Context, s *broker.Session) error {
		_, err := s.Declare(ctx, topology.Replies())
		return err
	})
	link.Keep(50*time.Millisecond, func(context.Context) (topology.Topology, error) { return topology.Replies(), nil })
	brokertest.Start(t, link)
	bound := func() bool {
		for _, binding := range b.Bindings(t, topology.MailboxExchange) {
			if binding.Destination == topology.MailboxQueue {
				return true
			}
		}
		return false
	}
	brokertest.Eventually(t, "the mailbox's exchange leads to its queue", bound)
	b.DeleteExchange(t, topology.MailboxExchange)
	brokertest.Eventually(t, "it does so again", bound)
}
