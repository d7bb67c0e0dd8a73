package push

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Types of frame that the client sends.
const (
	TypeHello       = "hello"
	TypeAck         = "ack"
	TypeAuth        = "auth"
	TypeSubscribe   = "subscribe"
	TypeUnsubscribe = "unsubscribe"
	TypePong        = "pong"
	TypeBye         = "bye"
)

// MaxClientFrame is the longest frame a client may send, in bytes: a token and little more.
const MaxClientFrame = 16 << 10

// ClientFrame is what a client sends; which fields count depends on Type. Unknown
// fields are ignored.
type ClientFrame struct {
	Type string `json:"type"`
	// Token goes with hello and auth.
	Token string `json:"token,omitempty"`
	// Session is the one the client had before, Window the one it wants; with hello.
	Session string `json:"session,omitempty"`
	Window  int    `json:"window,omitempty"`
	// Seq acks everything up to and including it.
	Seq uint64 `json:"seq,omitempty"`
	// Device and Event (a name pattern) go with subscribe and unsubscribe.
	Device string `json:"device,omitempty"`
	Event  string `json:"event,omitempty"`
}

// ParseClient reads the objects of one WebSocket message, joined by newlines, and calls
// each in turn. It stops at the first error, its own or the callback's.
func ParseClient(b []byte, each func(ClientFrame) error) error {
	if len(b) > MaxClientFrame {
		return fmt.Errorf("a frame of %d bytes: at most %d are allowed", len(b), MaxClientFrame)
	}
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var f ClientFrame
		if err := json.Unmarshal(line, &f); err != nil {
			return fmt.Errorf("a frame is not a JSON object with the fields it has to have: %w", err)
		}
		if f.Type == "" {
			return fmt.Errorf("a frame has no type")
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// Line writes a client's frame.
func (f ClientFrame) Line() []byte {
	b, _ := json.Marshal(f) // strings and numbers cannot fail
	return b
}
