package envelope

import (
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/outcome"
	"github.com/cupline/cupline/schema/topology"
)

// Origins of an outcome.
const (
	OriginDevice   = "device"
	OriginPlatform = "platform"
)

// Outcome is the one terminal outcome of a command, on its way to the client.
type Outcome struct {
	// Tenant and Client are the routing key.
	Tenant string
	Client string

	CommandID uuid.UUID
	Redrive   int
	Device    string
	Method    string
	Lane      string
	// Origin is OriginDevice or OriginPlatform; Reason is set for the latter.
	Origin string
	Reason outcome.Reason
	// Accepted is when the command was, At when it was decided: database time, whole milliseconds.
	Accepted time.Time
	At       time.Time

	Trace Trace
	// Body is the JSON-RPC response with the client's own id, on one line.
	Body []byte
}

// Message writes the outcome for RepliesExchange.
func (o *Outcome) Message() message.Message {
	h := map[string]any{
		headerVersion:  int64(Version),
		headerDevice:   o.Device,
		headerMethod:   o.Method,
		headerLane:     o.Lane,
		headerOrigin:   o.Origin,
		headerAccepted: o.Accepted.UnixMilli(),
		headerAt:       o.At.UnixMilli(),
	}
	if o.Reason != "" {
		h[headerReason] = string(o.Reason)
	}
	if o.Redrive > 0 {
		h[headerRedrive] = int64(o.Redrive)
	}
	o.Trace.write(h)
	return message.Message{
		Exchange:    topology.RepliesExchange,
		Key:         topology.ReplyKey(o.Tenant, o.Client),
		Mandatory:   true,
		ID:          o.CommandID.String(),
		Type:        TypeOutcome,
		ContentType: ContentType,
		Headers:     h,
		Body:        o.Body,
	}
}

// ParseOutcome reads an outcome, pushed or dead-lettered to the mailbox. Its error says
// everything that is malformed; the Outcome holds what could be read all the same.
func ParseOutcome(m *message.Message) (Outcome, error) {
	o := Outcome{
		Device: m.String(headerDevice),
		Method: m.String(headerMethod),
		Lane:   m.String(headerLane),
		Origin: m.String(headerOrigin),
		Reason: outcome.Reason(m.String(headerReason)),
		Trace:  readTrace(m),
		Body:   m.Body,
	}
	p := problems{m: m}
	p.version()
	p.kind(TypeOutcome)
	var ok bool
	if o.Tenant, o.Client, ok = topology.ParseReplyKey(m.Key); !ok {
		p.add("routing key: not <tenant>.<client>")
	}
	o.CommandID = p.uuid("message-id", m.ID)
	o.Accepted = p.time(headerAccepted)
	o.At = p.time(headerAt)
	if o.Origin != OriginDevice && o.Origin != OriginPlatform {
		p.add(headerOrigin + ": must be device or platform")
	}
	if n, has := m.Int(headerRedrive); has {
		if n < 1 || n > maxRedrive {
			p.add(headerRedrive + ": out of range")
		}
		o.Redrive = int(n)
	}
	return o, p.err()
}
