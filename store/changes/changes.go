// Package changes leads Postgres notifications to the caches of the store. A process has
// one supervised LISTEN connection; every cache in it subscribes through here.
package changes

import (
	"context"

	"go.uber.org/zap"

	"github.com/cupline/cupline/chassis/postgres"
)

// Channels that the database's triggers and the mailbox notify on.
const (
	// Registry carries "device <tenant> <device>", "type <tenant> <type>" and "lane <lane>".
	Registry = "cupline_registry"
	// Keys carries "revoked|changed <tenant> <client> <key id>".
	Keys = "cupline_keys"
	// Mailbox carries "<tenant>.<client>" of every client that a batch stored outcomes for,
	// joined by spaces: one notification for each batch, more only past 7,900 bytes.
	Mailbox = "cupline_mailbox"
	// Quota carries "full|free <tenant> <client>" when a mailbox crosses its quota.
	Quota = "cupline_quota"
)

// Subscriber is what keeps a memory of rows: it is told of each change, and of each gap in
// the telling. All three are called on the listener's goroutine, one at a time.
type Subscriber interface {
	// Channels to listen on.
	Channels() []string
	// Notify handles one notification of one of these channels.
	Notify(ctx context.Context, channel, payload string)
	// Connected says that notifications come from here on; what was notified before is lost.
	Connected(ctx context.Context)
	// Disconnected says that notifications no longer come.
	Disconnected()
}

// Listener makes the settings of one listener that serves all subscribers.
func Listener(log *zap.Logger, subscribers ...Subscriber) postgres.ListenerConfig {
	byChannel := map[string][]Subscriber{}
	var channels []string
	for _, s := range subscribers {
		for _, channel := range s.Channels() {
			if byChannel[channel] == nil {
				channels = append(channels, channel)
			}
			byChannel[channel] = append(byChannel[channel], s)
		}
	}
	return postgres.ListenerConfig{
		Channels: channels,
		Log:      log,
		Notify: func(ctx context.Context, channel, payload string) {
			for _, s := range byChannel[channel] {
				s.Notify(ctx, channel, payload)
			}
		},
		Connected: func(ctx context.Context) {
			for _, s := range subscribers {
				s.Connected(ctx)
			}
		},
		Disconnected: func() {
			for _, s := range subscribers {
				s.Disconnected()
			}
		},
	}
}
