package mailbox

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
)

// Parker parks messages among the dead letters, with a line in the audit trail. It
// implements Lot.
type Parker struct {
	// Letters parks one letter and its lines; again calls for the same message do nothing.
	Letters func(ctx context.Context, letter deadletter.Letter, lines ...audit.Entry) error
}

// Park keeps the message whole.
func (p Parker) Park(ctx context.Context, m *message.Message, detail string) error {
	letter := deadletter.Letter{
		Executed: string(outcome.Maybe), Detail: detail, Payload: m.Body,
		Properties: properties(m), Headers: marshal(readable(m.Headers)), Deaths: []byte("[]"),
	}
	letter.Digest = digest(m, letter.Properties)
	if tenant, client, ok := topology.ParseReplyKey(m.Key); ok {
		letter.Client = client
		letter.Detail = fmt.Sprintf("for %s.%s: %s", tenant, client, detail)
	}
	return p.Letters(ctx, letter, audit.Entry{
		Tenant: topology.SystemTenant, Stage: audit.StageMailbox, Action: "parked",
		Reason: string(outcome.Unrecordable), Client: letter.Client, Detail: letter.Detail,
	})
}

func properties(m *message.Message) []byte {
	return marshal(readable(map[string]any{
		"exchange": m.Exchange, "key": m.Key, "message_id": m.ID, "type": m.Type, "content_type": m.ContentType,
		"correlation_id": m.CorrelationID, "reply_to": m.ReplyTo, "app_id": m.AppID,
	}))
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(map[string]string{"unreadable": fmt.Sprint(v)}) // strings cannot fail
	}
	return b
}

// readable turns header values into what JSON can say. What it has no word for becomes an
// object of one member that names its kind.
func readable(value any) any {
	switch v := value.(type) {
	case string:
		if utf8.ValidString(v) {
			return v
		}
		return map[string]string{"base64": base64.StdEncoding.EncodeToString([]byte(v))}
	case []byte:
		return map[string]string{"base64": base64.StdEncoding.EncodeToString(v)}
	case time.Time:
		return map[string]string{"time": v.UTC().Format(time.RFC3339)}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[name] = readable(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = readable(inner)
		}
		return out
	}
	return value
}

// digest tells one message from another. Headers are left out: the broker adds to them
// when a message is dead-lettered or given again.
func digest(m *message.Message, properties []byte) [sha256.Size]byte {
	h := sha256.New()
	for _, part := range [][]byte{properties, m.Body} {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
