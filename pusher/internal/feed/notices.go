package feed

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/broker"
	"github.com/cupline/cupline/pusher/internal/hub"
	"github.com/cupline/cupline/schema/envelope"
)

// noticeLimit bounds the wait for room in the publisher's window, and for the confirm.
const noticeLimit = 5 * time.Second

// Notices publishes releases. It implements hub.Notices.
type Notices struct {
	Publisher *broker.Publisher
	Log       *zap.Logger
}

// Release asks whoever has that session of the client to let go of it.
func (n Notices) Release(client hub.Key, sessionID string) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeLimit)
	n.Publisher.Submit(ctx, envelope.Release(client.Tenant, client.Client, sessionID), func(err error) {
		cancel()
		if err != nil {
			n.Log.Warn("release not published; the old place goes by itself",
				zap.String("tenant", client.Tenant), zap.String("client", client.Client), zap.Error(err))
		}
	})
}
