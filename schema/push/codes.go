// Package push is the WebSocket subprotocol between pusher and client: its frames,
// as JSON objects told apart by type, and its close codes.
package push

// Subprotocol is the name both sides agree on.
const Subprotocol = "cupline.v1.json"

// CloseCode is a WebSocket close code of the application's range (RFC 6455, 7.4.2). Its
// hundred tells the client what to do; see Advice.
type CloseCode int

// The close codes.
const (
	BadFrame  CloseCode = 4000
	BadToken  CloseCode = 4001
	Forbidden CloseCode = 4002
	NoHello   CloseCode = 4003
	Revoked   CloseCode = 4004

	Internal           CloseCode = 4100
	Overloaded         CloseCode = 4101
	RateLimited        CloseCode = 4102
	BrokerAway         CloseCode = 4103
	TooManyConnections CloseCode = 4104

	Drained      CloseCode = 4200
	NoPong       CloseCode = 4201
	AckTimeout   CloseCode = 4202
	TokenExpired CloseCode = 4203
)

// Advice is what a close code tells the client to do.
type Advice string

// The advices.
const (
	// Stop: trying again as before leads to the same end.
	Stop Advice = "stop"
	// BackOff: try again after a growing, jittered wait.
	BackOff Advice = "back_off"
	// Resume: connect anew at once and name the session.
	Resume Advice = "resume"
)

// Advice reads the code's hundred; codes of other ranges, such as 1006, mean Resume.
func (c CloseCode) Advice() Advice {
	switch {
	case c >= 4000 && c < 4100:
		return Stop
	case c >= 4100 && c < 4200:
		return BackOff
	}
	return Resume
}

var reasons = map[CloseCode]string{
	BadFrame: "bad frame", BadToken: "bad token", Forbidden: "forbidden", NoHello: "no hello", Revoked: "revoked",
	Internal: "internal error", Overloaded: "overloaded", RateLimited: "rate limit", BrokerAway: "broker away",
	TooManyConnections: "too many connections",
	Drained:            "drain", NoPong: "no pong", AckTimeout: "ack timeout", TokenExpired: "token expired",
}

// Reason is the short text that goes into the close frame.
func (c CloseCode) Reason() string { return reasons[c] }
