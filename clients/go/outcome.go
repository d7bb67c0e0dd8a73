package cupline

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cupline/cupline/schema/envelope"
	"github.com/cupline/cupline/schema/outcome"
)

// Outcome is the one terminal outcome of a command.
type Outcome struct {
	// ID is the client's own id, as the bytes that it sent; null where it could not be read.
	ID json.RawMessage `json:"id"`
	// CommandID is the platform's UUID for the post, or for the redrive.
	CommandID string `json:"command_id"`
	// Redrive is 0, or n for the nth time that an operator sent the command again.
	Redrive int    `json:"redrive"`
	Device  string `json:"device"`
	Method  string `json:"method"`
	// At is when it was decided.
	At time.Time `json:"at"`
	// Origin is "device" for the device's own response, "platform" for a platform error.
	Origin string `json:"origin"`
	// Source is "live" or "mailbox".
	Source string `json:"source"`
	// Response is the JSON-RPC 2.0 response as it came.
	Response json.RawMessage `json:"response"`
}

// DeviceError is a device's own JSON-RPC error.
type DeviceError struct {
	Code    int64           `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Error is the device's message and code.
func (e *DeviceError) Error() string {
	text := fmt.Sprintf("the device answered error %d: %s", e.Code, e.Message)
	if len(e.Data) > 0 {
		text += " " + string(e.Data)
	}
	return text
}

// PlatformError tells why there is no answer of the device, and whether it may have
// executed the command.
type PlatformError struct {
	Code    int64
	Message string
	Reason  outcome.Reason
	// Executed is outcome.No, and sending again with a new id is safe, or outcome.Maybe.
	Executed  outcome.Executed
	CommandID string
	Device    string
	Detail    string
	// FirstCommandID and FirstState name the command that has the id, for duplicate_id.
	FirstCommandID string
	FirstState     string
}

// Error says what happened, and what that means for the device.
func (e *PlatformError) Error() string {
	text := fmt.Sprintf("%s (%s)", e.Message, e.Reason)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Executed == outcome.No {
		return text + "; it was not executed"
	}
	return text + "; it may have been executed"
}

// Result is the device's result. The error is a *DeviceError, a *PlatformError, or says
// that the response cannot be read.
func (o Outcome) Result() (json.RawMessage, error) {
	var response struct {
		Result json.RawMessage `json:"result"`
		Error  *DeviceError    `json:"error"`
	}
	if err := json.Unmarshal(o.Response, &response); err != nil {
		return nil, fmt.Errorf("read the response of command %s: %w", o.CommandID, err)
	}
	if response.Error == nil {
		return response.Result, nil
	}
	if o.Origin != envelope.OriginPlatform {
		return nil, response.Error
	}
	return nil, platformError(response.Error)
}

func platformError(e *DeviceError) error {
	var data struct {
		Reason         outcome.Reason   `json:"reason"`
		Executed       outcome.Executed `json:"executed"`
		CommandID      string           `json:"command_id"`
		Device         string           `json:"device"`
		Detail         string           `json:"detail"`
		FirstCommandID string           `json:"first_command_id"`
		FirstState     string           `json:"first_state"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		// Without its data the worst has to be taken for true.
		data.Executed, data.Detail = outcome.Maybe, "its data cannot be read: "+err.Error()
	}
	return &PlatformError{
		Code: e.Code, Message: e.Message, Reason: data.Reason, Executed: data.Executed, CommandID: data.CommandID,
		Device: data.Device, Detail: data.Detail, FirstCommandID: data.FirstCommandID, FirstState: data.FirstState,
	}
}
