// Package rpc answers JSON-RPC 2.0 requests from a table of methods.
package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cupline/cupline/schema/jsonrpc"
)

// Codes of JSON-RPC 2.0, section 5.1, and of the range left to servers.
const (
	ParseError     = -32700
	InvalidRequest = -32600
	MethodNotFound = -32601
	InvalidParams  = -32602
	InternalError  = -32603
	// Busy: the device runs as many commands as it takes. It did not start this one.
	Busy = -32000
	// Failed: the method was started and did not come to its end.
	Failed = -32001
)

// Error is a JSON-RPC error object.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// BadParams says what is wrong with the params.
func BadParams(format string, args ...any) *Error {
	return &Error{InvalidParams, "invalid params: " + fmt.Sprintf(format, args...)}
}

// Call is one request.
type Call struct {
	// ID is the request's id as bytes: one JSON value. From the platform it is the command id.
	ID     []byte
	Method string
	// Params are the bytes of an object or array; nil when there are none.
	Params []byte
}

// CommandID is the id without its quotes.
func (c Call) CommandID() string {
	var text string
	if json.Unmarshal(c.ID, &text) == nil {
		return text
	}
	return string(c.ID)
}

// Bind decodes the params, an object, into a pointer to a struct; unknown members are
// refused. Absent params leave the struct as it is. The error is an *Error.
func (c Call) Bind(into any) error {
	if c.Params == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(c.Params))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return BadParams("%v", err)
	}
	return nil
}

// Method executes a call. Its result is marshalled, but for a [Raw]. Its error becomes an
// error object: an *Error as it is, any other one as Failed.
type Method func(ctx context.Context, c Call) (result any, err error)

// Raw is a result that stands for the whole answer: what is sent is these messages, none
// at all for an empty one. It is for devices that misbehave on purpose.
type Raw [][]byte

// Table holds the methods by name.
type Table map[string]Method

// Serve executes one request and returns the messages to send: one, for all methods that
// behave, and none for a request without an id.
func (t Table) Serve(ctx context.Context, payload []byte) [][]byte {
	request, err := jsonrpc.ParseRequest(payload)
	if err != nil {
		return [][]byte{refuse(request.ID.Raw, err)}
	}
	result, err := t.execute(ctx, Call{ID: request.ID.Raw, Method: request.Method, Params: request.Params})
	if raw, ok := result.(Raw); ok && err == nil {
		return raw
	}
	if !request.ID.Present() {
		return nil
	}
	return [][]byte{response(request.ID.Raw, result, err)}
}

// Refusal is the answer to a request that is not executed; nil when it wants none.
func Refusal(payload []byte, reason *Error) []byte {
	request, err := jsonrpc.ParseRequest(payload)
	if err != nil {
		return refuse(request.ID.Raw, err)
	}
	if !request.ID.Present() {
		return nil
	}
	return response(request.ID.Raw, nil, reason)
}

func (t Table) execute(ctx context.Context, c Call) (any, error) {
	method, ok := t[c.Method]
	if !ok {
		return nil, &Error{MethodNotFound, fmt.Sprintf("the device has no method %q", c.Method)}
	}
	return method(ctx, c)
}

func refuse(id []byte, err error) []byte {
	code := InvalidRequest
	var syntax *jsonrpc.SyntaxError
	if errors.As(err, &syntax) {
		code = ParseError
	}
	return response(id, nil, &Error{code, err.Error()})
}

func response(id []byte, result any, err error) []byte {
	if len(id) == 0 {
		id = []byte("null")
	}
	if err == nil {
		var encoded bytes.Buffer
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false) // nobody reads it as HTML
		if err = encoder.Encode(result); err == nil {
			return envelope(id, "result", bytes.TrimSuffix(encoded.Bytes(), []byte{'\n'}))
		}
		err = &Error{InternalError, "the result cannot be written: " + err.Error()}
	}
	var object *Error
	if !errors.As(err, &object) {
		object = &Error{Failed, err.Error()}
	}
	// A number and a string cannot fail.
	encoded, _ := json.Marshal(object)
	return envelope(id, "error", encoded)
}

func envelope(id []byte, member string, value []byte) []byte {
	b := make([]byte, 0, 40+len(id)+len(member)+len(value))
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	b = append(b, `,"`...)
	b = append(b, member...)
	b = append(b, `":`...)
	b = append(b, value...)
	return append(b, '}')
}
