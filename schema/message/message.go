// Package message is an AMQP 0-9-1 message as plain values: what schema/envelope
// writes and reads, and what chassis/broker carries. It imports no AMQP library, so
// that rooms can speak of messages without speaking of a broker.
package message

import "time"

// Message is one message with the properties that Cupline uses (AMQP 0-9-1, basic class).
type Message struct {
	Exchange string
	Key      string
	// Mandatory asks the broker to return the message when no queue takes it.
	Mandatory bool
	// Transient is delivery mode 1; the zero value is persistent, delivery mode 2.
	Transient bool

	ID            string // message-id
	Type          string
	ContentType   string
	CorrelationID string
	ReplyTo       string
	AppID         string
	// Expiration is the message's own time-to-live; 0 is none. The broker counts whole
	// milliseconds, from the moment it reads the frame.
	Expiration time.Duration
	// Timestamp has whole seconds on the wire; zero is none.
	Timestamp time.Time
	// Headers hold string, []byte, bool, int8 to int64, float64, time.Time, and
	// []any or map[string]any of these.
	Headers map[string]any
	Body    []byte
}

// String returns the string header of that name, or "" when it is absent or another type.
func (m *Message) String(header string) string {
	s, _ := m.Headers[header].(string)
	return s
}

// Int returns the integer header of that name, whatever its width on the wire.
func (m *Message) Int(header string) (int64, bool) {
	switch v := m.Headers[header].(type) {
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case int16:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint8:
		return int64(v), true
	case int:
		return int64(v), true
	}
	return 0, false
}

// Bool returns the boolean header of that name; false when absent.
func (m *Message) Bool(header string) bool {
	b, _ := m.Headers[header].(bool)
	return b
}
