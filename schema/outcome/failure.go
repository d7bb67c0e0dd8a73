package outcome

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Failure is a platform error: what the client is told in place of a device's answer.
type Failure struct {
	Reason    Reason
	Executed  Executed
	CommandID string
	Device    string
	// Detail says more, for people; empty for nothing. Up to MaxDetail bytes are told.
	Detail string
	// FirstCommandID and FirstState name the command that has the id, for DuplicateID.
	FirstCommandID string
	FirstState     string
}

// MaxDetail is the most bytes of Failure.Detail that are told.
const MaxDetail = 512

// Detail cuts a text to MaxDetail bytes, never within a character, and puts U+FFFD in
// place of what is not UTF-8: so that it can stand in JSON, in a header and in a table.
func Detail(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= MaxDetail {
		return text
	}
	end := MaxDetail
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// data is the error's data member, in its order on the wire.
type data struct {
	Reason         Reason   `json:"reason"`
	Executed       Executed `json:"executed"`
	CommandID      string   `json:"command_id"`
	Device         string   `json:"device"`
	Detail         string   `json:"detail,omitempty"`
	FirstCommandID string   `json:"first_command_id,omitempty"`
	FirstState     string   `json:"first_state,omitempty"`
}

// Response writes the failure as a JSON-RPC 2.0 response that carries the client's own
// id bytes; id is null when there was none that could be read. Equal failures give
// equal bytes, so that whoever writes it twice tells the same.
func (f Failure) Response(id []byte) []byte {
	if len(id) == 0 {
		id = []byte("null")
	}
	// Marshalling strings cannot fail: bad UTF-8 is replaced.
	more, _ := json.Marshal(data{
		Reason: f.Reason, Executed: f.Executed, CommandID: f.CommandID, Device: f.Device,
		Detail: Detail(f.Detail), FirstCommandID: f.FirstCommandID, FirstState: f.FirstState,
	})
	message, _ := json.Marshal(f.Reason.Message())
	b := make([]byte, 0, 64+len(id)+len(message)+len(more))
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	b = append(b, `,"error":{"code":`...)
	b = strconv.AppendInt(b, int64(f.Reason.Code()), 10)
	b = append(b, `,"message":`...)
	b = append(b, message...)
	b = append(b, `,"data":`...)
	b = append(b, more...)
	return append(b, `}}`...)
}
