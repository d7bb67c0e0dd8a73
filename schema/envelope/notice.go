package envelope

import (
	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// Announce tells the pusher that holds a client, if any, to look into its mailbox.
// Pushers always ack it; where nobody holds the client it reaches the mailbox queue,
// and the writer drops it.
func Announce(tenant, client string) message.Message {
	return notice(TypeAnnounce, tenant, client, nil)
}

// Release asks the pusher that holds the named session of a client to let go of it,
// because the client came back elsewhere.
func Release(tenant, client, session string) message.Message {
	return notice(TypeRelease, tenant, client, map[string]any{headerSession: session})
}

// ReleasedSession is the session that a message of TypeRelease names.
func ReleasedSession(m *message.Message) string { return m.String(headerSession) }

func notice(kind, tenant, client string, headers map[string]any) message.Message {
	if headers == nil {
		headers = map[string]any{}
	}
	headers[headerVersion] = int64(Version)
	return message.Message{
		Exchange: topology.RepliesExchange,
		Key:      topology.ReplyKey(tenant, client),
		Type:     kind,
		Headers:  headers,
	}
}
