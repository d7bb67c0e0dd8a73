package recorder

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
	"github.com/cupline/cupline/store/audit"
	"github.com/cupline/cupline/store/deadletter"
)

// keep is the letter as it is stored, whole. What a malformed envelope says is kept in
// its headers; columns to search by take only what is a valid name.
func (d *dead) keep(failure *outcome.Failure) deadletter.Letter {
	c := &d.command
	l := deadletter.Letter{
		Tenant: d.tenant(), Alleged: d.malformed != nil, CommandID: c.ID, Client: c.Client,
		Device: c.Device, DeviceType: validID(c.DeviceType), Method: c.Request.Method, Lane: c.Lane,
		ID: c.Request.ID.Raw, Redrive: c.Redrive, RedriveOf: c.RedriveOf,
		Reason: string(failure.Reason), Executed: string(failure.Executed), Detail: failure.Detail,
		State: deadletter.Open, Payload: d.message.Body,
		Properties: properties(d.message), Headers: table(d.message.Headers), Deaths: d.deaths(),
	}
	if failure.Reason == outcome.Discarded {
		l.State = deadletter.Discarded // by whoever drained its lane
	}
	if d.answerable() {
		l.Outcome = d.body(failure)
	}
	if c.ID == uuid.Nil {
		l.Digest = digest(d.message, l.Properties, l.Headers)
	}
	return l
}

func validID(s string) string {
	if !topology.ValidID(s) {
		return ""
	}
	return s
}

// entry is a line of the audit trail about this command.
func (d *dead) entry(action, reason, detail string) audit.Entry {
	c := &d.command
	return audit.Entry{
		Tenant: d.tenant(), Stage: audit.StageRecord, Action: action, Reason: reason,
		Client: c.Client, ID: []byte(c.Request.ID.Key), CommandID: c.ID,
		Device: c.Device, DeviceType: c.DeviceType, Method: c.Request.Method, Lane: c.Lane, Detail: detail,
	}
}

func (d *dead) deaths() []byte {
	if len(d.letter.Deaths) == 0 {
		return []byte("[]")
	}
	b, _ := json.Marshal(d.letter.Deaths) // strings and times: cannot fail but for a year past 9999
	return b
}

// propertiesJSON is an AMQP message's properties for people and for a redrive.
type propertiesJSON struct {
	Exchange      string     `json:"exchange,omitempty"`
	Key           string     `json:"key"`
	MessageID     string     `json:"message_id,omitempty"`
	Type          string     `json:"type,omitempty"`
	ContentType   string     `json:"content_type,omitempty"`
	CorrelationID string     `json:"correlation_id,omitempty"`
	ReplyTo       string     `json:"reply_to,omitempty"`
	AppID         string     `json:"app_id,omitempty"`
	ExpirationMS  int64      `json:"expiration_ms,omitempty"`
	Timestamp     *time.Time `json:"timestamp,omitempty"`
	Transient     bool       `json:"transient,omitempty"`
}

func properties(m *message.Message) []byte {
	p := propertiesJSON{
		Exchange: m.Exchange, Key: m.Key, MessageID: m.ID, Type: m.Type, ContentType: m.ContentType,
		CorrelationID: m.CorrelationID, ReplyTo: m.ReplyTo, AppID: m.AppID,
		ExpirationMS: m.Expiration.Milliseconds(), Transient: m.Transient,
	}
	if t := m.Timestamp; !t.IsZero() && t.Year() >= 0 && t.Year() <= 9999 {
		p.Timestamp = &t
	}
	b, _ := json.Marshal(p) // strings, numbers, and a time that RFC 3339 can write
	return b
}

// table writes AMQP headers as JSON. What JSON has no word for is an object of one
// member that names its kind: {"base64":...}, {"time":...}, {"float":...}.
func table(headers map[string]any) []byte {
	if len(headers) == 0 {
		return []byte("{}")
	}
	b, err := json.Marshal(plain(headers))
	if err != nil {
		b, _ = json.Marshal(map[string]string{"unreadable": fmt.Sprint(headers)})
	}
	return b
}

func plain(value any) any {
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
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return map[string]string{"float": fmt.Sprint(v)}
		}
	case float32:
		return plain(float64(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[name] = plain(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = plain(inner)
		}
		return out
	}
	return value
}

// digest tells one message without a command id from another. What the broker adds to a
// redelivery, its count, is no part of it.
func digest(m *message.Message, properties, headers []byte) [sha256.Size]byte {
	if _, counted := m.Headers[deliveryCount]; counted {
		without := make(map[string]any, len(m.Headers))
		for name, value := range m.Headers {
			if name != deliveryCount {
				without[name] = value
			}
		}
		headers = table(without)
	}
	h := sha256.New()
	for _, part := range [][]byte{properties, headers, m.Body} {
		var length [8]byte
		for i := range length {
			length[i] = byte(len(part) >> (8 * i))
		}
		h.Write(length[:])
		h.Write(part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// deliveryCount is the header that quorum queues add from the second delivery on.
const deliveryCount = "x-delivery-count"
