package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/jsonrpc"
	"github.com/cupline/cupline/schema/outcome"
)

// Driver talks to one kind of device.
type Driver interface {
	// Check says why the device cannot be called at all, as its address is no address for
	// this driver. It sends nothing; it is asked before the command is claimed.
	Check(Target) error
	// Execute sends the call's request once, at most, and returns the device's answer to
	// it. It sends nothing once call.Left is used up. Its errors are a *Failure; any other
	// leaves open whether the device has the command.
	Execute(ctx context.Context, call *Call) (jsonrpc.Response, error)
}

// Target is the device of a call.
type Target struct {
	Tenant string
	Device string
	// Address is the driver's own JSON object from the registry; empty when it has none.
	Address []byte
}

// Call is one execution of one command.
type Call struct {
	Target
	// ID is the command id, which the device sees as the request's id.
	ID string
	// Request as the device gets it.
	Request []byte
	// Left is the rest of the method's timeout at the moment of asking; no more than 0
	// when it is used up. It is asked right before the request is sent: a process that was
	// stopped in between must not send late.
	Left func() time.Duration
	// MaxAnswer is the most bytes that an answer may have.
	MaxAnswer int
	// Trace is handed to the device, where the protocol has a place for it.
	Trace envelope.Trace
}

// Answer checks that body is the response to this call, at most MaxAnswer bytes of UTF-8
// JSON with the call's own id. The error is a *Failure of outcome.BadAnswer.
func (c *Call) Answer(body []byte) (jsonrpc.Response, error) {
	if len(body) > c.MaxAnswer {
		return jsonrpc.Response{}, c.TooLong()
	}
	response, err := jsonrpc.ParseResponse(body)
	if err != nil {
		return jsonrpc.Response{}, &Failure{Reason: outcome.BadAnswer, Detail: "the answer is no JSON-RPC response: " + err.Error()}
	}
	if !IsID(response.ID, c.ID) {
		return jsonrpc.Response{}, &Failure{Reason: outcome.BadAnswer, Detail: "the answer has another id"}
	}
	return response, nil
}

// TooLong is the failure of an answer past MaxAnswer.
func (c *Call) TooLong() *Failure {
	return &Failure{Reason: outcome.BadAnswer, Detail: fmt.Sprintf("the answer is longer than %d bytes", c.MaxAnswer)}
}

// IsID reports whether the bytes of a JSON value are the string id, however it is escaped.
func IsID(raw []byte, id string) bool {
	if len(raw) == len(id)+2 && raw[0] == '"' && string(raw[1:len(raw)-1]) == id {
		return true
	}
	parsed, err := jsonrpc.ParseID(raw)
	return err == nil && parsed.Key == "s:"+id
}

// Failure is how a call ended without the device's answer.
type Failure struct {
	Reason outcome.Reason
	// Detail is a sentence for the client and for operators.
	Detail string
}

func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Detail }

// TooLate is the failure of a call whose timeout was used up before anything was sent.
func TooLate() *Failure {
	return &Failure{Reason: outcome.NoAnswer, Detail: "not sent: the method's timeout ended before the worker could"}
}

// idLiteral is a command id as a JSON value.
func idLiteral(id uuid.UUID) []byte {
	b := make([]byte, 0, 38)
	b = append(b, '"')
	b = append(b, id.String()...)
	return append(b, '"')
}
