package envelope

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/message"
	"github.com/cupline/cupline/schema/topology"
)

// Command is one accepted command, or one redrive of it.
type Command struct {
	// Lane, Tenant and Device are the routing key, Client with the tenant the reply-to.
	Lane   string
	Tenant string
	Device string
	Client string
	// ID is the command id: the platform's own UUIDv7.
	ID uuid.UUID
	// Redrive is 0 for the client's own post, n for the nth redrive, which RedriveOf links to.
	Redrive   int
	RedriveOf uuid.UUID

	DeviceType string
	Driver     string
	// The method's policy as it stood when the command was accepted.
	Idempotent bool
	Timeout    time.Duration
	// Unledgered commands are on a lane whose ledger is off: delivered at least once.
	Unledgered bool

	// Accepted and Deadline are database time, in whole milliseconds.
	Accepted time.Time
	Deadline time.Time

	Trace Trace
	// Body is the JSON-RPC request as it came in.
	Body []byte
}

// Trace is a W3C trace context, passed on as it came; empty when there is none.
type Trace struct {
	Parent string
	State  string
}

// ReplyKey is where the command's outcome goes.
func (c *Command) ReplyKey() string { return topology.ReplyKey(c.Tenant, c.Client) }

// Digest tells one (device, body) from another: SHA-256 over both.
func (c *Command) Digest() [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(c.Device))
	h.Write([]byte{0})
	h.Write(c.Body)
	return [sha256.Size]byte(h.Sum(nil))
}

// Message writes the command for CommandsExchange. now is database time; the
// expiration is what is left until the deadline, 1 ms at least.
func (c *Command) Message(now time.Time) message.Message {
	return message.Message{
		Exchange:    topology.CommandsExchange,
		Key:         topology.CommandKey(c.Lane, c.Tenant, c.Device),
		Mandatory:   true,
		ID:          c.ID.String(),
		Type:        TypeCommand,
		ContentType: ContentType,
		ReplyTo:     c.ReplyKey(),
		Expiration:  max(c.Deadline.Sub(now).Truncate(time.Millisecond), time.Millisecond),
		Headers:     c.headers(),
		Body:        c.Body,
	}
}

func (c *Command) headers() map[string]any {
	h := map[string]any{
		headerVersion:    int64(Version),
		headerDeviceType: c.DeviceType,
		headerDriver:     c.Driver,
		headerAccepted:   c.Accepted.UnixMilli(),
		headerDeadline:   c.Deadline.UnixMilli(),
		headerTimeout:    c.Timeout.Milliseconds(),
	}
	if c.Idempotent {
		h[headerIdempotent] = true
	}
	if c.Unledgered {
		h[headerUnledgered] = true
	}
	if c.Redrive > 0 {
		h[headerRedrive] = int64(c.Redrive)
		h[headerRedriveOf] = c.RedriveOf.String()
	}
	c.Trace.write(h)
	return h
}

// ParseCommand reads a command wherever it travels. Its error says everything that is
// malformed; the Command holds what could be read all the same.
func ParseCommand(m *message.Message) (Command, error) {
	c := Command{
		DeviceType: m.String(headerDeviceType),
		Driver:     m.String(headerDriver),
		Idempotent: m.Bool(headerIdempotent),
		Unledgered: m.Bool(headerUnledgered),
		Trace:      readTrace(m),
		Body:       m.Body,
	}
	p := problems{m: m}
	p.version()
	p.kind(TypeCommand)
	var ok bool
	if c.Lane, c.Tenant, c.Device, ok = topology.ParseCommandKey(m.Key); !ok {
		p.add("routing key: not <lane>.<tenant>.<device>")
	}
	tenant, client, ok := topology.ParseReplyKey(m.ReplyTo)
	if !ok || tenant != c.Tenant {
		p.add("reply-to: not <tenant>.<client> of the routing key's tenant")
	} else {
		c.Client = client
	}
	c.ID = p.uuid("message-id", m.ID)
	c.Accepted = p.time(headerAccepted)
	c.Deadline = p.time(headerDeadline)
	c.Timeout = p.timeout()
	if !topology.ValidID(c.DeviceType) {
		p.add(headerDeviceType + ": not an id")
	}
	if !topology.ValidID(c.Driver) {
		p.add(headerDriver + ": not an id")
	}
	if n, has := m.Int(headerRedrive); has {
		if n < 1 || n > maxRedrive {
			p.add(headerRedrive + ": out of range")
		}
		c.Redrive = int(n)
		c.RedriveOf = p.uuid(headerRedriveOf, m.String(headerRedriveOf))
	}
	return c, p.err()
}

// maxRedrive bounds the redrive number; operators are held long before.
const maxRedrive = 1 << 20

func (t Trace) write(h map[string]any) {
	if t.Parent != "" {
		h[headerTraceParent] = t.Parent
		if t.State != "" {
			h[headerTraceState] = t.State
		}
	}
}

func readTrace(m *message.Message) Trace {
	return Trace{Parent: m.String(headerTraceParent), State: m.String(headerTraceState)}
}

// ErrMalformed is what every parse error of this package is.
var ErrMalformed = errors.New("malformed envelope")

// problems collects what is wrong with a message.
type problems struct {
	m    *message.Message
	list []error
}

func (p *problems) add(text string) { p.list = append(p.list, errors.New(text)) }

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMalformed, errors.Join(p.list...))
}

func (p *problems) version() {
	if v, ok := p.m.Int(headerVersion); !ok || v < 1 || v > Version+1 {
		p.add(fmt.Sprintf("%s: must be 1 to %d", headerVersion, Version+1))
	}
}

func (p *problems) kind(want string) {
	if p.m.Type != want {
		p.add(fmt.Sprintf("type: must be %s", want))
	}
}

func (p *problems) uuid(field, text string) uuid.UUID {
	// Only the form with dashes and small letters: uuid.Parse takes others, which would not be the same bytes again.
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		p.add(field + ": not a UUID")
		return uuid.Nil
	}
	return id
}

func (p *problems) time(header string) time.Time {
	ms := p.positive(header)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// maxTimeout is far past what any policy may say, and keeps a header within time.Duration.
const maxTimeout = 24 * time.Hour

func (p *problems) timeout() time.Duration {
	ms := p.positive(headerTimeout)
	if ms > maxTimeout.Milliseconds() {
		p.add(fmt.Sprintf("%s: must be at most %d", headerTimeout, maxTimeout.Milliseconds()))
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// farFuture, year 9999 in milliseconds, keeps times within what RFC 3339 can write.
const farFuture = 253_402_300_799_000

func (p *problems) positive(header string) int64 {
	n, ok := p.m.Int(header)
	if !ok || n < 1 || n > farFuture {
		p.add(header + ": must be a positive number of milliseconds")
		return 0
	}
	return n
}
