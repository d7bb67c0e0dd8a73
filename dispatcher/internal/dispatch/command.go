package dispatch

import (
	"crypto/sha256"
	"fmt"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/message"
)

// Command is one delivered command that could be read in full.
type Command struct {
	envelope.Command
	// Request is the body, checked.
	Request jsonrpc.Request
	// Digest tells one (device, body) from another.
	Digest [sha256.Size]byte
	// Redelivered is set by whoever delivers it when it may have been delivered before. It
	// counts only where there is no ledger to know better.
	Redelivered bool
}

// Read takes a delivered message apart. Its error says everything that makes the message
// no command: the envelope (envelope.ErrMalformed) or the request in it.
func Read(m *message.Message) (*Command, error) {
	c, err := envelope.ParseCommand(m)
	if err != nil {
		return nil, err
	}
	request, err := jsonrpc.ParseRequest(c.Body)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return &Command{Command: c, Request: request, Digest: c.Digest()}, nil
}

// OneWay commands have no id: nobody waits for their outcome.
func (c *Command) OneWay() bool { return !c.Request.ID.Present() }

// Outcome is what the client is told once the ledger says decided, under this command's
// id; nil for a one-way command. Everything but the decision comes from the command
// itself, so that whoever holds a copy of it tells the same.
func (c *Command) Outcome(decided *Decided) *envelope.Outcome {
	if c.OneWay() {
		return nil
	}
	return &envelope.Outcome{
		Tenant: c.Tenant, Client: c.Client,
		CommandID: c.ID, Redrive: c.Redrive,
		Device: c.Device, Method: c.Request.Method, Lane: c.Lane,
		Origin: decided.Origin, Reason: decided.Reason,
		Accepted: c.Accepted, At: decided.At,
		Trace: c.Trace, Body: decided.Body,
	}
}
